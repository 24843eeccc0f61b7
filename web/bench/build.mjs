// Builds the page that measures the drawing of curves: node build.mjs OUT. It is no part of the page that is shipped.
import { build } from "esbuild";
import path from "node:path";
import { fileURLToPath } from "node:url";

const HERE = path.dirname(fileURLToPath(import.meta.url));
const out = path.resolve(process.argv[2] ?? "dist");
const shared = { absWorkingDir: path.dirname(HERE), bundle: true, minify: true, target: "es2022", format: "esm", logLevel: "warning" };
await build({ ...shared, entryPoints: ["src/draw/worker.ts"], outfile: path.join(out, "worker.js") });
await build({
  ...shared,
  entryPoints: { bench: "bench/page.tsx" },
  outdir: out,
  jsx: "automatic",
  jsxImportSource: "preact",
  define: { CURVES_WORKER: '"/worker.js"', LIVE_WORKER: '""' },
});
