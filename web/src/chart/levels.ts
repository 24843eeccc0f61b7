/** What a chart has loaded: the whole curves, and windows of them with finer buckets. */
import { signal } from "@preact/signals";

import { messageOf, Problem } from "../data/problem.ts";
import type { CurveEngine, LoadedCurves } from "../draw/engine.ts";
import type { CurveSource, CurveTail } from "./source.ts";
import type { Range } from "./view.ts";

/** A load of a window of the axis. */
export interface Detail {
  readonly curves: LoadedCurves;
  readonly from: number;
  /** Infinity while the window follows the live end. */
  readonly to: number;
}

/** Windows that are kept beside the whole. */
const MAX_DETAILS = 3;
/** A zoom that moves is loaded when it rests this long. */
const REST_MS = 140;
/** Of the window, loaded beyond each of its edges. */
const MARGIN = 0.25;
/** A window that was loaded for a view so many times as wide is too coarse. */
const TOO_WIDE = 2.2;
/** The whole is loaded again no sooner than after this. */
const RELOAD_MS = 2_000;
/** What could not be loaded is tried again after this, where that may help. */
const RETRY_MS = 3_000;
/** A followed curve of so many times the buckets that were asked for is loaded again, in wider ones. */
const MAX_GROWTH = 2;

export class Levels {
  /** Changes when something else is to be drawn. */
  readonly version = signal(0);
  readonly loading = signal(0);
  readonly error = signal<string | null>(null);
  base: LoadedCurves | null = null;
  private details: Detail[] = [];
  /** Buckets that were asked for; 0: nobody asked yet. */
  private points = 0;
  private timer: ReturnType<typeof setTimeout> | undefined;
  private retrying: ReturnType<typeof setTimeout> | undefined;
  private reloading: ReturnType<typeof setTimeout> | undefined;
  private loadedAt = 0;
  private readonly running = new Map<"base" | "detail", AbortController>();
  private readonly unfollow = new Map<number, () => void>();
  private readonly offGrown: () => void;
  private readonly offChanged: (() => void) | undefined;
  private closed = false;

  constructor(
    private readonly engine: CurveEngine,
    private readonly metrics: readonly string[],
    private readonly source: CurveSource,
  ) {
    this.offGrown = engine.onGrown((id) => {
      if (id === this.base?.id || this.details.some((one) => one.curves.id === id)) this.version.value++;
    });
    this.offChanged = source.changed?.(() => void this.replace());
  }

  /** Whether the whole curves are on their way. */
  get isAsked(): boolean {
    return this.running.has("base");
  }

  /** Loads the whole curves in about so many buckets. */
  async loadWhole(points: number): Promise<void> {
    this.points = points;
    this.loadedAt = Date.now();
    const curves = await this.load("base", null, points);
    if (curves === null) return;
    this.release(this.base);
    this.base = curves;
    this.follow(curves);
    this.version.value++;
  }

  /** The finest window for a view; null if the whole is as good. */
  detailFor(range: Range | null): Detail | null {
    if (range === null) return null;
    const covering = this.details.filter((one) => one.from <= range.from && one.to >= range.to);
    const touching = covering.length > 0 ? covering : this.details.filter((one) => one.from < range.to && one.to > range.from);
    return touching.reduce<Detail | null>((best, one) => (best === null || widthOf(one, range) < widthOf(best, range) ? one : best), null);
  }

  /** Says what the chart shows: where what is there is too coarse, finer buckets come when the view rests. `end`: of all curves. */
  show(range: Range | null, exact: boolean, end: number): void {
    clearTimeout(this.timer);
    if (range === null || exact || this.isFine(range)) {
      this.running.get("detail")?.abort();
      return;
    }
    this.timer = setTimeout(() => void this.loadWindow(range, end), REST_MS);
  }

  private isFine(range: Range): boolean {
    const found = this.detailFor(range);
    if (found === null || found.from > range.from || found.to < range.to) return false;
    return widthOf(found, range) <= TOO_WIDE * (range.to - range.from);
  }

  private async loadWindow(range: Range, end: number): Promise<void> {
    const margin = (range.to - range.from) * MARGIN;
    const from = Math.floor(range.from - margin);
    const to = Math.ceil(range.to + margin);
    const curves = await this.load("detail", { from, to }, Math.ceil(this.points * (1 + 2 * MARGIN)));
    if (curves === null) return;
    const live = range.to >= end && this.source.follow !== undefined;
    this.details.push({ curves, from, to: live ? Infinity : to });
    for (const old of this.details.splice(0, Math.max(0, this.details.length - MAX_DETAILS))) this.release(old.curves);
    if (live) this.follow(curves);
    this.version.value++;
  }

  private async load(kind: "base" | "detail", range: Range | null, points: number): Promise<LoadedCurves | null> {
    this.running.get(kind)?.abort();
    const abort = new AbortController();
    this.running.set(kind, abort);
    this.loading.value++;
    try {
      const curves = await this.source.load(this.metrics, range, points, abort.signal);
      this.engine.hold(curves);
      if (abort.signal.aborted || this.closed) {
        this.engine.drop(curves);
        return null;
      }
      this.error.value = null;
      return curves;
    } catch (error) {
      if (abort.signal.aborted || this.closed) return null;
      this.error.value = messageOf(error);
      // What passes is tried again by itself; the curves that are there stay until then.
      if (error instanceof Problem && error.passes) this.retry();
      return null;
    } finally {
      this.loading.value--;
      if (this.running.get(kind) === abort) this.running.delete(kind);
    }
  }

  private follow(curves: LoadedCurves): void {
    const end = this.source.follow?.(this.metrics, curves, (tails) => this.append(curves, tails));
    if (end !== undefined) this.unfollow.set(curves.id, end);
  }

  private append(curves: LoadedCurves, tails: readonly CurveTail[]): void {
    if (this.closed) return;
    const known = new Map(curves.series.map((one) => [one.key, one]));
    const fitting = tails.filter((tail) => {
      const info = known.get(tail.key);
      return info !== undefined && !tail.earlier && info.rows <= MAX_GROWTH * this.points;
    });
    if (fitting.length < tails.length) this.reload();
    if (fitting.length === 0) return;
    this.engine.append(
      curves,
      fitting.map((tail) => ({
        key: tail.key,
        from: tail.from,
        x: Float64Array.from(tail.x),
        min: Float64Array.from(tail.min),
        max: Float64Array.from(tail.max),
        mean: Float64Array.from(tail.mean),
        flags: Uint8Array.from(tail.flags),
        points: tail.points,
      })),
    );
  }

  private retry(): void {
    clearTimeout(this.retrying);
    this.retrying = setTimeout(() => void this.replace(), RETRY_MS);
  }

  /** Loads everything again, soon. What is there stays until then. */
  private reload(): void {
    if (this.reloading !== undefined) return;
    this.reloading = setTimeout(
      () => {
        this.reloading = undefined;
        void this.replace();
      },
      Math.max(0, this.loadedAt + RELOAD_MS - Date.now()),
    );
  }

  /** Loads the whole again, and windows of it when it is there. */
  private async replace(): Promise<void> {
    if (this.closed || this.points === 0) return;
    const old = this.details;
    await this.loadWhole(this.points);
    this.details = this.details.filter((one) => !old.includes(one));
    for (const one of old) this.release(one.curves);
    this.version.value++;
  }

  private release(curves: LoadedCurves | null): void {
    if (curves === null) return;
    this.unfollow.get(curves.id)?.();
    this.unfollow.delete(curves.id);
    this.engine.drop(curves);
  }

  /** Frees everything. */
  close(): void {
    this.closed = true;
    clearTimeout(this.timer);
    clearTimeout(this.reloading);
    clearTimeout(this.retrying);
    this.offGrown();
    this.offChanged?.();
    for (const abort of this.running.values()) abort.abort();
    for (const old of this.details.splice(0)) this.release(old.curves);
    this.release(this.base);
    this.base = null;
  }
}

/** Over how much of the axis a window's buckets are spread; one that follows the end was loaded up to the end of the view. */
function widthOf(detail: Detail, range: Range): number {
  return (detail.to === Infinity ? Math.max(range.to, detail.from) : detail.to) - detail.from;
}
