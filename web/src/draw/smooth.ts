/**
 * Smoothing: an exponential average over the axis, not over rows.
 *
 * The smoothed value at x is the average of the curve up to x, where each value holds since the one before it, weighted by
 * exp(-(x - u) / length): sum of (1 - exp(-gap / length)) * value, decayed, divided by the sum of the weights (debiased, so it
 * begins at the first value and not at 0). `length` and gaps are in units of the axis. A bucket counts as its mean, held over its
 * extent. So neither the zoom nor the width of buckets changes what is averaged. Values that are no numbers have no weight.
 */
import { endOf, placeOf, type Rows } from "./series.ts";

interface State {
  sum: number;
  weight: number;
  /** Up to where the curve has been taken in; NaN: nothing yet. */
  end: number;
}

const cache = new WeakMap<Rows, { length: number; before: Rows | null; values: Float64Array }>();

/** The smoothed value at the end of each row. `before`: the coarser curve that `rows` is a window of, which begins at `from`. */
export function smoothed(rows: Rows, length: number, before: Rows | null, from: number): Float64Array {
  const known = cache.get(rows);
  if (known !== undefined && known.length === length && known.before === before) return known.values;
  const state: State = { sum: 0, weight: 0, end: NaN };
  if (before !== null) average(before, length, state, from, null);
  const values = new Float64Array(rows.length);
  average(rows, length, state, Infinity, values);
  cache.set(rows, { length, before, values });
  return values;
}

/** Takes in the rows up to the place `limit`. */
function average(rows: Rows, length: number, state: State, limit: number, values: Float64Array | null): void {
  let gapBefore = NaN;
  let decay = 1;
  for (let row = 0; row < rows.length; row++) {
    const place = placeOf(rows, row);
    if (place >= limit) break;
    const end = Math.min(limit, endOf(rows, row));
    // The first value has no value before it: it weighs as if the gap before it were that behind it.
    const since = state.end === state.end ? state.end : 2 * place - (row + 1 < rows.length ? placeOf(rows, row + 1) : end + 1);
    const gap = Math.max(0, end - since);
    if (gap !== gapBefore) {
      gapBefore = gap;
      decay = Math.exp(-gap / length);
    }
    const value = rows.mean[row] as number;
    state.sum *= decay;
    state.weight *= decay;
    if (Number.isFinite(value)) {
      // Values of one place have no gap between them, and yet they count.
      const share = gap > 0 ? -Math.expm1(-gap / length) : Number.MIN_VALUE;
      state.sum += value * share;
      state.weight += share;
    } else if (state.weight < 1e-280) {
      state.sum = 0;
      state.weight = 0;
    }
    state.end = end;
    if (values !== null) values[row] = state.weight > 0 ? state.sum / state.weight : NaN;
  }
}
