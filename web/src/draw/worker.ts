/** The Worker that paints curves: it holds what was loaded, and paints the newest scene of each chart. */
import { curvesOfArrow } from "./arrow.ts";
import type { Curves } from "./curves.ts";
import { curvesOfGroups } from "./groups.ts";
import type { FromWorker, Line, Report, Scene, ToWorker } from "./messages.ts";
import { near } from "./near.ts";
import { outlinesOf } from "./outline.ts";
import { Painter } from "./paint.ts";
import type { Loaded } from "./scene.ts";

/** What a Worker's global scope has of what is used here; the page's sources are checked as a document's. */
interface Scope {
  onmessage: ((event: MessageEvent<ToWorker>) => void) | null;
  postMessage(message: FromWorker, transfer: Transferable[]): void;
}

interface Chart {
  lines: readonly Line[];
  /** The newest scene, and what it turned out to show. */
  scene: Scene | null;
  report: Report | null;
  /** When it was painted last and how long that took, in ms. */
  paintedAt: number;
  took: number;
}

/** A chart whose pictures come faster than this is in motion. */
const MOVING_MS = 300;
const MOST_REST_MS = 16;

const scope = globalThis as unknown as Scope;
const loads = new Map<number, Curves>();
const charts = new Map<number, Chart>();
const painter = new Painter(() => performance.now());
const canvas = new OffscreenCanvas(1, 1);
const context = canvas.getContext("2d", { willReadFrequently: false });
/** Charts to paint, with the turn of the request: the newest request of a chart replaces the one before. */
const waiting = new Map<number, { readonly turn: number; readonly scene: Scene }>();
const pulse = new MessageChannel();
let pulsing = false;

scope.onmessage = ({ data }) => {
  switch (data.kind) {
    case "load":
      load(data.id, data.form, data.content);
      break;
    case "drop":
      loads.delete(data.id);
      break;
    case "append": {
      const curves = loads.get(data.id);
      const series = data.tails.map((tail) => curves?.append(tail) ?? null).filter((one) => one !== null);
      scope.postMessage({ kind: "grown", id: data.id, series }, []);
      break;
    }
    case "lines":
      chartOf(data.chart).lines = data.lines;
      break;
    case "draw":
      waiting.set(data.chart, { turn: data.turn, scene: data.scene });
      wake();
      break;
    case "near": {
      const { lines, scene, report } = chartOf(data.chart);
      const found = scene && report ? near(scene, report, lines, loadedOf(scene), data.where) : [];
      scope.postMessage({ kind: "near", chart: data.chart, turn: data.turn, near: found }, []);
      break;
    }
    case "outline": {
      const outlines = outlinesOf(data.scene, chartOf(data.chart).lines, loadedOf(data.scene));
      scope.postMessage({ kind: "outline", chart: data.chart, turn: data.turn, outlines }, []);
      break;
    }
    case "forget":
      charts.delete(data.chart);
      waiting.delete(data.chart);
      break;
  }
};

// One chart at a time, so that newer scenes of the others replace those that wait.
pulse.port1.onmessage = () => {
  pulsing = false;
  const next = waiting.entries().next();
  if (next.done) return;
  const [number, { turn, scene }] = next.value;
  waiting.delete(number);
  const last = chartOf(number).paintedAt;
  paint(number, turn, scene);
  // A chart that was painted a moment ago is being zoomed, and the page moves its last picture meanwhile. Half of a core is
  // left to the browser then, which has to show those pictures.
  const moves = performance.now() - last < MOVING_MS;
  wake(moves ? Math.min(MOST_REST_MS, chartOf(number).took) : 0);
};

function wake(rest = 0): void {
  if (pulsing || waiting.size === 0) return;
  pulsing = true;
  if (rest < 1) pulse.port2.postMessage(0);
  else setTimeout(() => pulse.port2.postMessage(0), rest);
}

function load(id: number, form: "arrow" | "groups", content: ArrayBuffer): void {
  try {
    const curves = form === "arrow" ? curvesOfArrow(content) : curvesOfGroups(content);
    loads.set(id, curves);
    scope.postMessage({ kind: "loaded", id, series: curves.series }, []);
  } catch (error) {
    scope.postMessage({ kind: "failed", id, message: error instanceof Error ? error.message : String(error) }, []);
  }
}

function chartOf(number: number): Chart {
  let chart = charts.get(number);
  if (chart === undefined) {
    chart = { lines: [], scene: null, report: null, paintedAt: -Infinity, took: 0 };
    charts.set(number, chart);
  }
  return chart;
}

function loadedOf(scene: Scene): Loaded {
  return {
    base: scene.base === null ? null : (loads.get(scene.base) ?? null),
    detail: scene.detail === null ? null : (loads.get(scene.detail.id) ?? null),
  };
}

function paint(number: number, turn: number, scene: Scene): void {
  if (context === null || scene.width < 1 || scene.height < 1) return;
  const chart = chartOf(number);
  const report = painter.paint(scene, chart.lines, loadedOf(scene));
  chart.scene = scene;
  chart.report = report;
  canvas.width = scene.width;
  canvas.height = scene.height;
  const bytes = new Uint8ClampedArray(painter.pixels.data.buffer, 0, scene.width * scene.height * 4);
  context.putImageData(new ImageData(bytes, scene.width, scene.height), 0, 0);
  const picture = canvas.transferToImageBitmap();
  chart.paintedAt = performance.now();
  chart.took = report.took;
  scope.postMessage({ kind: "picture", chart: number, turn, picture, report }, [picture]);
}
