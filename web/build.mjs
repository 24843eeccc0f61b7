// Builds the page: node build.mjs OUT
//
// OUT/index.html        the one document, for every address of the page
// OUT/static/*          scripts and styles; a name holds a hash of the content, so that browsers may keep it for ever
// OUT/static/*.gz       the same, packed
// OUT/sizes.json        bytes of what the first view loads: {"script": N, "script_gz": N, "style_gz": N}
import { build } from "esbuild";
import { createHash } from "node:crypto";
import { mkdir, readFile, readdir, rm, writeFile } from "node:fs/promises";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";

const HERE = path.dirname(fileURLToPath(import.meta.url));
/** Where the server serves OUT/static. */
const BASE = "/-/static/";
/** Scripts of their own: name of the constant in the page's sources -> the file. */
const WORKERS = { CURVES_WORKER: "src/draw/worker.ts", LIVE_WORKER: "src/data/live/worker.ts" };

const out = path.resolve(process.argv[2] ?? "dist");
const target = path.join(out, "static");
await rm(out, { recursive: true, force: true });
await mkdir(target, { recursive: true });

const shared = {
  absWorkingDir: HERE,
  bundle: true,
  minify: true,
  sourcemap: false,
  target: "es2022",
  format: "esm",
  outdir: target,
  metafile: true,
  legalComments: "none",
  charset: "utf8",
  logLevel: "warning",
};

const define = {};
for (const [name, entry] of Object.entries(WORKERS)) {
  const built = await build({ ...shared, entryPoints: { [name.toLowerCase()]: entry }, entryNames: "[name]-[hash]" });
  define[name] = JSON.stringify(BASE + path.basename(outputOf(built.metafile, entry)));
}
const page = await build({
  ...shared,
  define,
  entryPoints: { page: "src/main.tsx" },
  entryNames: "[name]-[hash]",
  chunkNames: "[name]-[hash]",
  splitting: true,
  jsx: "automatic",
  jsxImportSource: "preact",
});
const entry = outputOf(page.metafile, "src/main.tsx");
const style = page.metafile.outputs[relative(entry)].cssBundle;
const template = await readFile(path.join(HERE, "index.html"), "utf8");
const icon = await readFile(path.join(HERE, "icon.svg"));
const iconName = `icon-${createHash("sha256").update(icon).digest("hex").slice(0, 8)}.svg`;
await writeFile(path.join(target, iconName), icon);
const html = template
  .replaceAll("%ICON%", BASE + iconName)
  .replaceAll("%SCRIPT%", BASE + path.basename(entry))
  .replaceAll("%STYLE%", BASE + path.basename(style));
await writeFile(path.join(out, "index.html"), html);

const sizes = { script: 0, script_gz: 0, style_gz: gzipSync(await readFile(path.join(HERE, style))).length };
for (const file of firstLoaded(page.metafile, relative(entry))) {
  const bytes = await readFile(path.join(HERE, file));
  sizes.script += bytes.length;
  sizes.script_gz += gzipSync(bytes).length;
}
await writeFile(path.join(out, "sizes.json"), JSON.stringify(sizes) + "\n");
for (const name of await readdir(target)) {
  const bytes = await readFile(path.join(target, name));
  await writeFile(path.join(target, name + ".gz"), gzipSync(bytes, { level: 9 }));
}

/** The file that was made of an entry. */
function outputOf(metafile, entryPoint) {
  const found = Object.entries(metafile.outputs).find(([, made]) => made.entryPoint === entryPoint);
  if (!found) throw new Error(`nothing was made of ${entryPoint}`);
  return path.resolve(HERE, found[0]);
}

/** As the metafile names it. */
function relative(file) {
  return path.relative(HERE, file).split(path.sep).join("/");
}

/** The entry and what it imports at once (not what it loads when a view is opened). */
function firstLoaded(metafile, first) {
  const seen = new Set();
  const left = [first];
  for (let file = left.pop(); file !== undefined; file = left.pop()) {
    if (seen.has(file)) continue;
    seen.add(file);
    const { imports } = metafile.outputs[file];
    left.push(...imports.filter((one) => one.kind === "import-statement").map((one) => one.path));
  }
  return seen;
}
