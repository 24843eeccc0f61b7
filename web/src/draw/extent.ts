/** Which values a picture has to show. */
import type { Piece } from "./pieces.ts";
import { endOf, placeOf } from "./series.ts";

/** Extremes of what touches a window; low > high where there is nothing. */
export interface Extent {
  low: number;
  high: number;
}

/** Values of buckets, gathered for a robust range, at most SAMPLES of them. */
export interface Sample {
  readonly lows: Float64Array;
  readonly highs: Float64Array;
  count: number;
  /** Buckets that were looked at: every `stride`-th is kept. */
  seen: number;
  stride: number;
}

const SAMPLES = 1 << 14;
/** How far beyond the quartiles a robust range reaches, in distances between them (Tukey's outer fence). */
const FENCE = 3;
/** Of the height, above and below the extremes. */
const PADDING = 0.04;

export function newSample(): Sample {
  return { lows: new Float64Array(SAMPLES), highs: new Float64Array(SAMPLES), count: 0, seen: 0, stride: 1 };
}

/** Widens `extent` by the finite extremes of the buckets that touch [from, to]; by positive ones where `log`. */
export function widen(extent: Extent, pieces: readonly Piece[], from: number, to: number, log: boolean, sample: Sample | null): void {
  for (const { rows, begin, end, low: first, high: last } of pieces) {
    for (let row = begin; row < end; row++) {
      if (Math.max(first, placeOf(rows, row)) > to || Math.min(last, endOf(rows, row)) < from) continue;
      let low = rows.exact ? (rows.mean[row] as number) : (rows.min[row] as number);
      let high = rows.exact ? low : (rows.max[row] as number);
      if (!Number.isFinite(low) || !Number.isFinite(high) || (log && low <= 0)) {
        // One end may still be a value that can be shown.
        const mean = rows.mean[row] as number;
        const shown = [low, mean, high].filter((one) => Number.isFinite(one) && (!log || one > 0));
        if (shown.length === 0) continue;
        low = Math.min(...shown);
        high = Math.max(...shown);
      }
      if (low < extent.low) extent.low = low;
      if (high > extent.high) extent.high = high;
      if (sample !== null) keep(sample, low, high);
    }
  }
}

function keep(sample: Sample, low: number, high: number): void {
  if (sample.seen++ % sample.stride !== 0) return;
  if (sample.count === SAMPLES) {
    for (let at = 0; at < SAMPLES / 2; at++) {
      sample.lows[at] = sample.lows[2 * at] as number;
      sample.highs[at] = sample.highs[2 * at] as number;
    }
    sample.count = SAMPLES / 2;
    sample.stride *= 2;
  }
  sample.lows[sample.count] = low;
  sample.highs[sample.count] = high;
  sample.count++;
}

/**
 * The range between Tukey's outer fences: three distances between the quartiles beyond these, of the lowest values of the buckets
 * below and of the highest ones above; on a logarithmic axis of their logarithms. Never wider than the extremes.
 */
export function robust(extent: Extent, sample: Sample, log: boolean): Extent {
  if (sample.count < 4) return extent;
  const to = (value: number): number => (log ? Math.log10(value) : value);
  const from = (value: number): number => (log ? 10 ** value : value);
  const lows = sample.lows.slice(0, sample.count).map(to).sort();
  const highs = sample.highs.slice(0, sample.count).map(to).sort();
  const first = lows[Math.floor(sample.count / 4)] as number;
  const third = highs[Math.floor((3 * sample.count) / 4)] as number;
  // Half of all values are equal: there is no scale to measure others by.
  if (third <= first) return extent;
  const reach = FENCE * (third - first);
  return { low: Math.max(extent.low, from(first - reach)), high: Math.min(extent.high, from(third + reach)) };
}

/** The axis that shows an extent, with some room around it. Nothing: [0, 1]; on a logarithmic axis [1, 10]. */
export function padded(extent: Extent, log: boolean): { from: number; to: number } {
  let { low, high } = extent;
  if (low > high) return log ? { from: 1, to: 10 } : { from: 0, to: 1 };
  if (log) {
    const begin = Math.log10(low);
    const end = Math.log10(high);
    const room = end > begin ? (end - begin) * PADDING : 0.5;
    return { from: Math.max(Number.MIN_VALUE, 10 ** (begin - room)), to: Math.min(Number.MAX_VALUE, 10 ** (end + room)) };
  }
  if (low === high) {
    const room = Math.abs(low) * 0.1 || 1;
    low -= room;
    high += room;
  }
  // Halves first: the difference of the largest doubles is infinite.
  const room = (high / 2 - low / 2) * 2 * PADDING;
  return {
    from: Math.max(-Number.MAX_VALUE / 2, low - (Number.isFinite(room) ? room : 0)),
    to: Math.min(Number.MAX_VALUE / 2, high + (Number.isFinite(room) ? room : 0)),
  };
}
