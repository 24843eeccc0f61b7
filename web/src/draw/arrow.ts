/** Reads the Arrow streams of `POST /api/v1/charts`. The columns stay where they are in the response. */
import { tableFromIPC, type Table } from "@uwdata/flechette";

import { Curves, type Curve } from "./curves.ts";
import { seriesKey, type Rows, type SeriesInfo, type Values } from "./series.ts";

const SERIES = "runstream.series";

/** What the metadata has of a series. Places may be fractions (axes of a metric). */
interface Described {
  readonly run: string;
  readonly metric: string;
  readonly rows: number;
  readonly origin: number;
  readonly unit: number;
  readonly width: number;
  readonly points: number;
  readonly largest: number;
  readonly total: number;
  readonly writer?: string | null;
  readonly rank?: number | null;
  readonly attempt?: number | null;
}

/** Throws an Error that names what is wrong with the response. */
export function curvesOfArrow(content: ArrayBuffer): Curves {
  const table = tableFromIPC(content);
  const text = table.schema.metadata?.get(SERIES);
  if (text === undefined) throw new Error(`the response has no series (${SERIES}): it is none of POST /api/v1/charts`);
  const described = JSON.parse(text) as Described[];
  const x = column<Uint32Array | Float64Array>(table, "x", [Uint32Array, Float64Array]);
  const min = column<Values>(table, "min", [Float32Array, Float64Array]);
  const max = column<Values>(table, "max", [Float32Array, Float64Array]);
  const mean = column<Values>(table, "mean", [Float32Array, Float64Array]);
  const flags = column<Uint8Array>(table, "flags", [Uint8Array]);
  const counted = described.reduce((sum, one) => sum + one.rows, 0);
  if (counted !== table.numRows) {
    throw new Error(`the response has ${table.numRows} buckets and describes ${counted}: load the chart again`);
  }
  const curves: Curve[] = [];
  let begin = 0;
  for (const one of described) {
    const end = begin + one.rows;
    const rows: Rows = {
      length: one.rows,
      origin: one.origin,
      unit: one.unit,
      width: one.width,
      exact: one.largest <= 1,
      x: x.subarray(begin, end),
      min: min.subarray(begin, end),
      max: max.subarray(begin, end),
      mean: mean.subarray(begin, end),
      flags: flags.subarray(begin, end),
    };
    curves.push({ info: infoOf(one), rows, spread: null });
    begin = end;
  }
  return new Curves(curves);
}

function infoOf(one: Described): SeriesInfo {
  const { run, metric, rows, origin, unit, width, points, largest, total } = one;
  const part = one.writer ?? "";
  const key = seriesKey(run, metric, part);
  const { rank = null, attempt = null } = one;
  return { key, run, metric, group: null, size: 1, rank, attempt, rows, origin, unit, width, points, largest, total };
}

type Column = Uint32Array | Uint8Array | Values;

/** The values of a column as one array: without a copy where they came in one batch. */
function column<T extends Column>(table: Table, name: string, kinds: readonly (new (length: number) => Column)[]): T {
  const found = table.getChild(name);
  if (found === undefined || found === null) throw new Error(`the response has no column ${name}: load the chart again`);
  const values: unknown = found.length === 0 ? new (kinds[0] as new (length: number) => Column)(0) : found.toArray();
  if (!kinds.some((kind) => values instanceof kind)) {
    throw new Error(`the column ${name} of the response is ${Object.prototype.toString.call(values)}: update the page`);
  }
  return values as T;
}
