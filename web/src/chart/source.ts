/** Where a chart gets its curves from: the data layer has sources for runs and for groups of runs. */
import type { LoadedCurves } from "../draw/engine.ts";
import type { Range } from "./view.ts";

/** Buckets that replace what a curve has from `from` on. Lists have the same length; NaN and infinities are numbers. */
export interface CurveTail {
  readonly key: string;
  readonly from: number;
  readonly x: readonly number[];
  readonly min: readonly number[];
  readonly max: readonly number[];
  readonly mean: readonly number[];
  readonly flags: readonly number[];
  /** All points that the series has on the axis now. */
  readonly points: number;
  /** Points came before `from`: the curve has to be loaded again. */
  readonly earlier: boolean;
}

/** A point as it was logged. */
export interface LoggedPoint {
  /** Key of the series. */
  readonly key: string;
  /** The place on the axis. */
  readonly x: number;
  readonly step: number | null;
  /** Microseconds since 1970. */
  readonly at: number | null;
  readonly value: number;
}

export interface CurveSource {
  /**
   * Buckets of [from, to] (null: everything), about `points` of a curve. Aborted when superseded. What comes may hold series of
   * other metrics too, and may be what other charts got: each holds it (`CurveEngine.hold`) and drops it.
   */
  load(metrics: readonly string[], range: Range | null, points: number, signal: AbortSignal): Promise<LoadedCurves>;
  /** Calls the listener when the source has other curves than before: what was loaded stays until they came. Returns what ends it. */
  changed?(listener: () => void): () => void;
  /** Live tails of what was loaded. Returns what ends it. */
  follow?(metrics: readonly string[], curves: LoadedCurves, listener: (tails: readonly CurveTail[]) => void): () => void;
  /** The logged points nearest to x of the series with these keys, as exact doubles; only those within `window` are looked at. */
  points?(keys: readonly string[], x: number, window: Range, signal: AbortSignal): Promise<readonly LoggedPoint[]>;
  /** Where the chart's points are as CSV; null: nowhere. */
  csv?(metrics: readonly string[], range: Range | null): string | null;
}
