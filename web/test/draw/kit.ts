/** What the tests of the rasteriser share: random numbers, curves, buckets of points. */
import { Curves } from "../../src/draw/curves.ts";
import { HAS_INFINITY, HAS_NAN, HAS_NEGATIVE_INFINITY, seriesKey, type Rows } from "../../src/draw/series.ts";

/** Numbers in [0, 1), the same ones for a seed (mulberry32). */
export function randomOf(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Points as buckets of a width, with their exact extremes. */
export function bucketed(steps: Float64Array, values: Float64Array, width: number): Rows {
  const x: number[] = [];
  const min: number[] = [];
  const max: number[] = [];
  const mean: number[] = [];
  const flags: number[] = [];
  let bucket = NaN;
  let sum = 0;
  let count = 0;
  let largest = 0;
  let held = 0;
  for (let at = 0; at < steps.length; at++) {
    const step = steps[at] as number;
    const value = values[at] as number;
    const number = Math.trunc(step / width);
    if (number !== bucket || at === 0) {
      bucket = number;
      x.push(step);
      min.push(NaN);
      max.push(NaN);
      mean.push(NaN);
      flags.push(0);
      sum = count = held = 0;
    }
    held++;
    largest = Math.max(largest, held);
    const last = x.length - 1;
    if (value !== value) {
      flags[last] = (flags[last] as number) | HAS_NAN;
      continue;
    }
    if (value === Infinity) flags[last] = (flags[last] as number) | HAS_INFINITY;
    if (value === -Infinity) flags[last] = (flags[last] as number) | HAS_NEGATIVE_INFINITY;
    min[last] = count === 0 ? value : Math.min(min[last] as number, value);
    max[last] = count === 0 ? value : Math.max(max[last] as number, value);
    sum += value;
    count++;
    mean[last] = sum / count;
  }
  return {
    length: x.length,
    origin: 0,
    unit: 1,
    width,
    exact: largest <= 1,
    x: Float64Array.from(x),
    min: Float64Array.from(min),
    max: Float64Array.from(max),
    mean: Float64Array.from(mean),
    flags: Uint8Array.from(flags),
  };
}

/** Rows of the points [from, to] of a curve. */
export function windowed(steps: Float64Array, values: Float64Array, width: number, from: number, to: number): Rows {
  const keep = [...steps.keys()].filter((at) => (steps[at] as number) >= from && (steps[at] as number) <= to);
  return bucketed(Float64Array.from(keep, (at) => steps[at] as number), Float64Array.from(keep, (at) => values[at] as number), width);
}

/** Loaded curves of one metric, by the names of runs. */
export function curvesOf(rows: Readonly<Record<string, Rows>>, metric = "loss"): Curves {
  return new Curves(
    Object.entries(rows).map(([run, one]) => ({
      rows: one,
      spread: null,
      info: {
        key: seriesKey(run, metric),
        run,
        metric,
        group: null,
        size: 1,
        rank: null,
        attempt: null,
        width: one.width,
        rows: one.length,
        points: one.length,
        largest: one.exact ? 1 : one.width,
        total: one.length,
        origin: one.origin,
        unit: one.unit,
      },
    })),
  );
}
