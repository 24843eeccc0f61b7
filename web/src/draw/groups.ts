/** Reads the responses of `POST /api/v1/charts/groups` (JSON). */
import { Curves, type Curve } from "./curves.ts";
import { groupKey, HAS_INFINITY, HAS_NEGATIVE_INFINITY, type Rows } from "./series.ts";

type Numbers = readonly (number | string)[];

interface Grouped {
  readonly group: Readonly<Record<string, unknown>>;
  readonly size: number;
  readonly metric: string;
  readonly x: Numbers;
  readonly runs: readonly number[];
  readonly mean: Numbers;
  readonly sd: Numbers;
  readonly min: Numbers;
  readonly max: Numbers;
}

/** Throws an Error that names what is wrong with the response. */
export function curvesOfGroups(content: ArrayBuffer): Curves {
  const { width, series } = JSON.parse(new TextDecoder().decode(content)) as { width: number; series: Grouped[] };
  if (!Array.isArray(series)) throw new Error("the response has no series: it is none of POST /api/v1/charts/groups");
  return new Curves(series.map((one) => curveOf(one, width)));
}

function curveOf(one: Grouped, width: number): Curve {
  const x = doubles(one.x);
  const mean = doubles(one.mean);
  const min = doubles(one.min);
  const max = doubles(one.max);
  // The spread of one run is not a number: its band is its line.
  const sd = doubles(one.sd).map((value) => (value === value ? value : 0));
  const flags = new Uint8Array(x.length);
  for (let row = 0; row < x.length; row++) {
    flags[row] = (max[row] === Infinity ? HAS_INFINITY : 0) | (min[row] === -Infinity ? HAS_NEGATIVE_INFINITY : 0);
  }
  const rows: Rows = { length: x.length, origin: 0, unit: 1, width, exact: false, x, min, max, mean, flags };
  const spread: Rows = { ...rows, min: mean.map((value, row) => value - (sd[row] as number)), max: mean.map((value, row) => value + (sd[row] as number)) };
  const points = one.runs.reduce((sum, count) => sum + count, 0);
  return {
    info: {
      key: groupKey(one.group, one.metric),
      run: "",
      metric: one.metric,
      group: one.group,
      size: one.size,
      rank: null,
      attempt: null,
      rows: x.length,
      origin: 0,
      unit: 1,
      width,
      points,
      largest: Math.max(0, ...one.runs.slice(0, 1_000)),
      total: points,
    },
    rows,
    spread,
  };
}

/** Numbers of JSON: NaN and the infinities are texts there. */
function doubles(values: Numbers): Float64Array {
  return Float64Array.from(values, Number);
}
