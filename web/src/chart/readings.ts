/** What the tooltip says: the logged points nearest to the cursor, of the curves nearest to the pointer. */
import { effect, signal } from "@preact/signals";

import type { Near } from "../draw/messages.ts";
import type { Pointer } from "./gestures.ts";
import type { ChartModel } from "./model.ts";
import type { LoggedPoint } from "./source.ts";
import type { Range } from "./view.ts";

/** One line of the tooltip. */
export interface Reading {
  readonly key: string;
  /** The logged point; null while it is not there yet. */
  readonly point: LoggedPoint | null;
  /** What the drawn bucket says until then. */
  readonly near: Near;
}

export interface Readings {
  readonly rows: readonly Reading[];
  /** Key of the one that is nearest to the pointer. */
  readonly nearest: string | null;
  /** Curves in the window that have no line here. */
  readonly more: number;
}

/** Lines of a tooltip. */
const MOST = 12;
/** Logged points are asked for when the pointer rests this long. */
const REST_MS = 60;
/** Logged points are looked for so far to both sides of the pointer, in pixels of CSS. */
const WINDOW = 60;
/** A curve stands out if the pointer is that near, in pixels of CSS. */
const REACH = 14;

export class Pointing {
  readonly readings = signal<Readings | null>(null);
  private abort: AbortController | null = null;
  private timer: ReturnType<typeof setTimeout> | undefined;
  private readonly end: () => void;

  constructor(
    private readonly model: ChartModel,
    pointer: { readonly value: Pointer | null },
  ) {
    this.end = effect(() => {
      const here = pointer.value;
      // A picture that comes changes what is near.
      void model.report.value;
      if (here === null) this.clear();
      else void this.read(here);
    });
  }

  private clear(): void {
    clearTimeout(this.timer);
    this.abort?.abort();
    this.readings.value = null;
    this.model.hovered.value = null;
  }

  private async read(here: Pointer): Promise<void> {
    const { model } = this;
    const ratio = model.ratio.peek();
    const near = await model.easel.near({ x: here.x * ratio, y: here.y * ratio, most: MOST });
    if (near === null) return;
    const nearest = near[0];
    model.hovered.value = nearest !== undefined && nearest.distance <= REACH * ratio ? nearest.key : null;
    const before = new Map(this.readings.peek()?.rows.map((row) => [row.key, row.point]));
    const rows = near.map((one) => {
      const point = before.get(one.key) ?? null;
      return { key: one.key, near: one, point: point !== null && point.x === one.place ? point : null };
    });
    const more = Math.max(0, (model.report.peek()?.curves ?? 0) - near.length);
    this.readings.value = { rows: sorted(rows), nearest: nearest?.key ?? null, more };
    const across = model.across.peek();
    const x = across.inverse(here.x);
    // The points of the buckets in reach of the cursor; a bucket may be wider than that.
    const places = near.map((one) => one.place);
    const from = Math.min(x, across.inverse(here.x - WINDOW), ...places);
    const to = Math.max(x, across.inverse(here.x + WINDOW), ...places);
    this.later(near.map((one) => one.key), x, { from, to });
  }

  private later(keys: readonly string[], x: number, window: Range): void {
    clearTimeout(this.timer);
    this.abort?.abort();
    const { source } = this.model;
    if (keys.length === 0 || source.points === undefined) return;
    this.timer = setTimeout(() => void this.fetch(keys, x, window), REST_MS);
  }

  private async fetch(keys: readonly string[], x: number, window: Range): Promise<void> {
    const abort = new AbortController();
    this.abort = abort;
    try {
      const points = await this.model.source.points?.(keys, x, window, abort.signal);
      const shown = this.readings.peek();
      if (points === undefined || abort.signal.aborted || shown === null) return;
      const found = new Map(points.map((point) => [point.key, point]));
      const rows = shown.rows.map((row) => ({ ...row, point: found.get(row.key) ?? row.point }));
      this.readings.value = { ...shown, rows: sorted(rows) };
    } catch {
      // The tooltip keeps what the picture knows; the next movement asks again, and loads of the chart show what is wrong.
    }
  }

  close(): void {
    this.end();
    this.clear();
  }
}

function valueOf(row: Reading): number {
  return row.point?.value ?? row.near.mean;
}

/** The highest value first; what is no number last. */
function sorted(rows: Reading[]): Reading[] {
  const rank = (row: Reading): number => (Number.isNaN(valueOf(row)) ? -Infinity : valueOf(row));
  return rows.sort((a, b) => rank(b) - rank(a) || (a.key < b.key ? -1 : 1));
}
