/**
 * The page that measures the drawing of curves. What to do stands in its address:
 * ?charts=N&series=N&buckets=N&kind=chart|paths
 */
import { signal } from "@preact/signals";
import { render } from "preact";

import { CurveChart } from "../src/chart/CurveChart.tsx";
import type { CurveSource, CurveTail } from "../src/chart/source.ts";
import { newView, type LineStyle } from "../src/chart/view.ts";
import { CurveEngine, type LoadedCurves } from "../src/draw/engine.ts";
import { seriesKey } from "../src/draw/series.ts";
import "../src/styles/index.css";
import { Paths } from "./paths.ts";

const asked = new URLSearchParams(location.search);
const number = (name: string, otherwise: number): number => Number(asked.get(name) ?? otherwise);
const charts = number("charts", 1);
const series = number("series", 100);
const buckets = number("buckets", 1_000);
const kind = asked.get("kind") ?? "chart";

const view = newView();
const engine = new CurveEngine(new Worker(CURVES_WORKER, { type: "module" }));
const listeners = new Set<{ curves: LoadedCurves; listener: (tails: readonly CurveTail[]) => void }>();

async function arrow(metric: string, from: number | null, to: number | null, points: number): Promise<ArrayBuffer> {
  const range = from === null ? "" : `&from=${from}&to=${to}`;
  const response = await fetch(`/arrow?series=${series}&buckets=${points}&metric=${metric}${range}`);
  return response.arrayBuffer();
}

const source: CurveSource = {
  load: async (metrics, range, points, signal) => {
    const from = range?.from ?? null;
    const content = await arrow(metrics[0] ?? "m", from, range?.to ?? null, range === null ? buckets : points);
    signal.throwIfAborted();
    return engine.load(content);
  },
  points: (keys, x) => Promise.resolve(keys.map((key) => ({ key, x: Math.round(x), step: Math.round(x), at: 1.8e15 + x, value: key.length / 7 }))),
  follow: (_metrics, curves, listener) => {
    const entry = { curves, listener };
    listeners.add(entry);
    return () => listeners.delete(entry);
  },
};

function linesOf(metric: string): ReadonlyMap<string, LineStyle> {
  return new Map(
    Array.from({ length: series }, (_, at) => [
      seriesKey(`r${at}`, metric),
      { colour: `hsl(${(at * 137.5) % 360} 65% 42%)`, name: `run ${at}`, dash: 0, hidden: false, order: at },
    ]),
  );
}

/** Appends `count` points to every series of every chart, as the live stream would. */
let grown = 0;
function append(count: number): void {
  for (const { curves, listener } of listeners) {
    listener(
      curves.series.map((one) => {
        const width = one.width;
        const x = Array.from({ length: count }, (_, at) => (Math.ceil(1_024_000 / width) + grown + at) * width);
        const values = x.map(() => Math.random() * 0.1);
        const points = one.points + count * width;
        return { key: one.key, from: x[0] ?? 0, x, min: values, max: values, mean: values, flags: x.map(() => 0), points, earlier: false };
      }),
    );
  }
  grown += count;
}

function Page() {
  return (
    <main style={{ display: "grid", gridTemplateColumns: "repeat(auto-fill, minmax(420px, 1fr))", gap: "12px", padding: "12px" }}>
      {Array.from({ length: charts }, (_, at) => (
        <CurveChart key={at} engine={engine} title={`metric ${at}`} metrics={[`m${at}`]} source={source} lines={signal(linesOf(`m${at}`))} view={view} />
      ))}
    </main>
  );
}

const began = performance.now();
if (kind === "chart") render(<Page />, document.body);
const paths = kind === "paths" ? new Paths(await arrow("m0", null, null, buckets), document.body) : null;

/** For the program that drives the page. */
Object.assign(globalThis, { bench: { view, engine, append, paths, began } });
