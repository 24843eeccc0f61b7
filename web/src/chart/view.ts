/** What the charts of a page have in common: axis, zoom, scales, cursor. */
import { batch, signal, type Signal } from "@preact/signals";

/** `metric:NAME`: another metric of the same run. */
export type XAxis = "step" | "time" | "relative" | "active" | "epoch" | `metric:${string}`;

/** Places of an axis, both included: steps, or microseconds (since 1970 for `time`, of the run for `relative` and `active`). */
export interface Range {
  readonly from: number;
  readonly to: number;
}

/** How a series is drawn. */
export interface LineStyle {
  /** A colour of CSS with a contrast of 3:1 or more on the page's ground. */
  readonly colour: string;
  /** What people call it. Any text: it is never read as anything but text. */
  readonly name: string;
  /** 0: no gaps; 1, 2, 3: dashes. */
  readonly dash: number;
  readonly hidden: boolean;
  /** Higher ones lie above. */
  readonly order: number;
}

export interface Cursor {
  /** A place of the axis. */
  readonly x: number;
}

/** Signals of a page's charts. All of them follow each other. */
export interface ChartView {
  readonly xAxis: Signal<XAxis>;
  /** Null: everything. */
  readonly range: Signal<Range | null>;
  readonly xLog: Signal<boolean>;
  readonly yLog: Signal<boolean>;
  /** Length of the exponential average in units of the axis (steps, microseconds); null: none. */
  readonly smoothing: Signal<number | null>;
  readonly band: Signal<"extremes" | "spread" | "solid">;
  /** Whether the axis leaves out extreme values; their number is told at the edge. */
  readonly outliers: Signal<boolean>;
  readonly cursor: Signal<Cursor | null>;
  /** The key of a series, or `RUN\n` for all series of a run. */
  readonly highlighted: Signal<string | null>;
  /** From the first place of all charts to the last: a zoomed view that touches its end follows it. */
  readonly extent: Signal<Range | null>;
}

export function newView(): ChartView {
  return {
    xAxis: signal("step"),
    range: signal(null),
    xLog: signal(false),
    yLog: signal(false),
    smoothing: signal(null),
    band: signal("extremes"),
    outliers: signal(false),
    cursor: signal(null),
    highlighted: signal(null),
    extent: signal(null),
  };
}

/** Takes in how far a chart's curves reach. A zoomed view that showed the end moves with it; others stay. */
export function grow(view: ChartView, extent: Range): void {
  const was = view.extent.peek();
  const now = was === null ? extent : { from: Math.min(was.from, extent.from), to: Math.max(was.to, extent.to) };
  if (was !== null && now.from === was.from && now.to === was.to) return;
  batch(() => {
    const range = view.range.peek();
    if (was !== null && range !== null && now.to > was.to && range.to >= was.to) {
      const moved = now.to - was.to;
      view.range.value = { from: range.from + moved, to: range.to + moved };
    }
    view.extent.value = now;
  });
}
