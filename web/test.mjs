// Runs the tests of the page's sources in Node: node test.mjs [NAME...]
//
// NAME: a part of a test file's path; without any all of test/**/*.test.ts.
import { build } from "esbuild";
import { spawnSync } from "node:child_process";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";

const HERE = path.dirname(fileURLToPath(import.meta.url));
const names = process.argv.slice(2);
const files = (await readdir(path.join(HERE, "test"), { recursive: true }))
  .filter((name) => /\.test\.tsx?$/.test(name) && (names.length === 0 || names.some((part) => name.includes(part))))
  .map((name) => path.join("test", name));
if (files.length === 0) {
  console.error(`no test file has ${names.join(" or ") || "a name"}: see web/test`);
  process.exit(2);
}
const out = await mkdtemp(path.join(os.tmpdir(), "runstream-web-test-"));
try {
  await build({
    absWorkingDir: HERE,
    entryPoints: files,
    outdir: out,
    outbase: "test",
    outExtension: { ".js": ".mjs" },
    bundle: true,
    platform: "node",
    format: "esm",
    target: "node20",
    sourcemap: "inline",
    jsx: "automatic",
    jsxImportSource: "preact",
    define: { CURVES_WORKER: '""', LIVE_WORKER: '""' },
    logLevel: "warning",
  });
  const built = files.map((file) => path.join(out, path.relative("test", file).replace(/\.tsx?$/, ".mjs")));
  const run = spawnSync(process.execPath, ["--enable-source-maps", "--test", ...built], { stdio: "inherit" });
  process.exitCode = run.status ?? 1;
} finally {
  await rm(out, { recursive: true, force: true });
}
