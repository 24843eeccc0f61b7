import { effect, useComputed, useSignal, useSignalEffect } from "@preact/signals";
import { useEffect, useId, useMemo, useRef, useState } from "preact/hooks";

import type { CurveEngine } from "../draw/engine.ts";
import { ChartMenu } from "./ChartMenu.tsx";
import { save } from "./export.ts";
import { axisName } from "./format.ts";
import { Frame } from "./Frame.tsx";
import { Gestures } from "./gestures.ts";
import { press } from "./keyboard.ts";
import { BOTTOM, RIGHT, TOP } from "./layout.ts";
import { ChartModel, type Lines } from "./model.ts";
import { Pointing } from "./readings.ts";
import type { CurveSource } from "./source.ts";
import { finenessOf, outsideText, remarksOf, smoothingText, summaryOf } from "./summary.ts";
import { Tooltip } from "./Tooltip.tsx";
import type { ChartView } from "./view.ts";

/** The summary follows the picture after this. */
const SUMMARY_MS = 300;

interface CurveChartProps {
  readonly engine: CurveEngine;
  readonly title: string;
  readonly metrics: readonly string[];
  readonly source: CurveSource;
  readonly lines: Lines;
  readonly view: ChartView;
}

/** A chart of curves: of runs or of groups, as its source has them. Its height is that of its box. */
export function CurveChart({ engine, title, metrics, source, lines, view }: CurveChartProps) {
  // Another axis has other places: nothing of the old curves fits.
  const model = useMemo(() => new ChartModel(engine, metrics, source, lines, view), [engine, source, lines, view, metrics.join("\n"), view.xAxis.value]);
  useEffect(() => () => model.close(), [model]);
  return <Chart key={model.number} model={model} title={title} />;
}

function Chart({ model, title }: { readonly model: ChartModel; readonly title: string }) {
  const root = useRef<HTMLElement>(null);
  const body = useRef<HTMLDivElement>(null);
  const plot = useRef<HTMLDivElement>(null);
  const canvas = useRef<HTMLCanvasElement>(null);
  const [hands, setHands] = useState<{ gestures: Gestures; pointing: Pointing } | null>(null);
  const summaryId = useId();
  useEffect(() => observe(model, body.current, plot.current), [model]);
  useEffect(() => {
    if (plot.current === null) return undefined;
    model.attach(canvas.current);
    const gestures = new Gestures(model, plot.current);
    const pointing = new Pointing(model, gestures.pointer);
    setHands({ gestures, pointing });
    return () => {
      pointing.close();
      gestures.close();
      model.attach(null);
    };
  }, [model]);
  return (
    <section class="chart" ref={root} aria-label={title}>
      <header class="chart-head">
        <h3 class="chart-title ellipsis" title={title} dir="auto">
          {title}
        </h3>
        <ChartMenu
          model={model}
          onFullScreen={() => void root.current?.requestFullscreen()}
          onExport={(kind) => void save(model, title, kind)}
        />
      </header>
      <div
        class="chart-body"
        ref={body}
        tabIndex={0}
        role="group"
        aria-roledescription="chart"
        aria-describedby={summaryId}
        aria-label={`${title}: arrow keys move the cursor, plus and minus zoom, Home shows everything`}
        onKeyDown={(event) => {
          if (hands === null || event.target !== event.currentTarget || !press(event, model, hands.gestures)) return;
          event.preventDefault();
          event.stopPropagation();
        }}
      >
        <Frame model={model} />
        <div class="chart-plot" ref={plot}>
          <canvas class="chart-canvas" ref={canvas} aria-hidden="true" />
          <CursorLine model={model} />
          <Edges model={model} />
          {hands !== null ? <RubberBand gestures={hands.gestures} /> : null}
        </div>
        {hands !== null ? <Hover model={model} hands={hands} /> : null}
      </div>
      <Foot model={model} />
      <Summary model={model} title={title} id={summaryId} />
    </section>
  );
}

/** What is told of the picture. Its parts are compared as texts: most pictures of a zoom change none. */
function Foot({ model }: { readonly model: ChartModel }) {
  const axis = model.view.xAxis.value;
  const smoothing = model.view.smoothing.value;
  const fineness = useComputed(() => (model.report.value === null ? "" : finenessOf(model.report.value))).value;
  const remarks = useComputed(() => (model.report.value === null ? "" : remarksOf(model.report.value).join(" · "))).value;
  const isLoading = useComputed(() => model.levels.loading.value > 0).value;
  const problem = model.levels.error.value;
  return (
    <footer class="chart-foot">
      <span>{axisName(axis)}</span>
      <span class="chart-fineness">{fineness}</span>
      {isLoading ? <span class="chart-loading">loading…</span> : null}
      {remarks !== "" ? <span class="chart-remarks" title={remarks}>{remarks}</span> : null}
      {smoothing !== null ? <span title={smoothingText(smoothing, axis)}>smoothed</span> : null}
      {problem !== null ? (
        <span class="chart-problem" role="alert" title={problem}>
          {problem}
        </span>
      ) : null}
    </footer>
  );
}

/** The text for those who do not see the picture. It is written a few times a second at most: nobody can read it sooner. */
function Summary({ model, title, id }: { readonly model: ChartModel; readonly title: string; readonly id: string }) {
  const text = useSignal(`${title}: loading`);
  useEffect(() => {
    let timer: ReturnType<typeof setTimeout> | undefined;
    const end = effect(() => {
      void [model.report.value, model.view.xAxis.value];
      timer ??= setTimeout(() => {
        timer = undefined;
        text.value = summaryOf(title, model.report.peek(), model.view.xAxis.peek());
      }, SUMMARY_MS);
    });
    return () => {
      end();
      clearTimeout(timer);
    };
  }, [model, title]);
  return (
    <p id={id} class="chart-summary">
      {text.value}
    </p>
  );
}

/** How many points are above and below the picture. */
function Edges({ model }: { readonly model: ChartModel }) {
  const text = (where: "above" | "below") => {
    const report = model.report.value;
    return report === null || report[where] === 0 ? "" : outsideText(report[where], report.exact, where);
  };
  const above = useComputed(() => text("above")).value;
  const below = useComputed(() => text("below")).value;
  return (
    <>
      {above !== "" ? <div class="chart-edge chart-edge-top">↑ {above}</div> : null}
      {below !== "" ? <div class="chart-edge chart-edge-bottom">↓ {below}</div> : null}
    </>
  );
}

function RubberBand({ gestures }: { readonly gestures: Gestures }) {
  const box = gestures.box.value;
  return box === null ? null : <div class="chart-box" style={boxStyle(box)} />;
}

function Hover({ model, hands }: { readonly model: ChartModel; readonly hands: { gestures: Gestures; pointing: Pointing } }) {
  const at = hands.gestures.pointer.value;
  const readings = hands.pointing.readings.value;
  if (at === null || readings === null || readings.rows.length === 0 || hands.gestures.box.value !== null) return null;
  return <Tooltip model={model} readings={readings} at={at} gutter={model.gutter.value} />;
}

/** The cursor that all charts of a page share. It moves without drawing anything else. */
function CursorLine({ model }: { readonly model: ChartModel }) {
  const line = useRef<HTMLDivElement>(null);
  useSignalEffect(() => {
    const cursor = model.view.cursor.value;
    const x = cursor === null || !model.visible.value ? NaN : model.across.value.at(cursor.x);
    if (line.current === null) return;
    const isShown = x >= 0 && x <= model.size.value.width;
    line.current.style.visibility = isShown ? "visible" : "hidden";
    if (isShown) line.current.style.transform = `translateX(${Math.round(x)}px)`;
  });
  return <div class="chart-cursor" ref={line} />;
}

function boxStyle(box: { left: number; top: number; width: number; height: number }) {
  return { left: `${box.left}px`, top: `${box.top}px`, width: `${box.width}px`, height: `${box.height}px` };
}

/** Tells the model how large its plot is, and whether anybody can see it, and puts the plot there. Returns what ends that. */
function observe(model: ChartModel, body: HTMLElement | null, plot: HTMLElement | null): () => void {
  if (body === null || plot === null) return () => {};
  const measure = (): void => {
    const width = Math.max(0, Math.floor(body.clientWidth - model.gutter.peek() - RIGHT));
    const height = Math.max(0, Math.floor(body.clientHeight - TOP - BOTTOM));
    const was = model.size.peek();
    model.ratio.value = Math.min(3, globalThis.devicePixelRatio || 1);
    if (was.width !== width || was.height !== height) model.size.value = { width, height };
    plot.style.left = `${model.gutter.peek()}px`;
    plot.style.top = `${TOP}px`;
    plot.style.width = `${width}px`;
    plot.style.height = `${height}px`;
  };
  const sizes = new ResizeObserver(measure);
  sizes.observe(body);
  // A little early, so that a picture is there when the chart is scrolled to.
  const sight = new IntersectionObserver((entries) => (model.visible.value = entries.at(-1)?.isIntersecting ?? false), { rootMargin: "120px" });
  sight.observe(body);
  const end = model.gutter.subscribe(measure);
  return () => {
    end();
    sizes.disconnect();
    sight.disconnect();
  };
}
