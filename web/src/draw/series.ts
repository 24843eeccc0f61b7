/** Curves as the server sends them: buckets in columns, all series of a response one behind the other. */

/** What the server says of a series (`runstream.series` of `POST /api/v1/charts`), and its key. */
export interface SeriesInfo {
  /** Names the series in everything that is drawn (`seriesKey`, `groupKey`). */
  readonly key: string;
  /** Empty for a group of runs. */
  readonly run: string;
  readonly metric: string;
  /** The values of the fields that a group has in common; null for a run. */
  readonly group: Readonly<Record<string, unknown>> | null;
  /** How many runs a group has; 1 for a run. */
  readonly size: number;
  /** Width of a bucket, in units of the axis; 0: each place is one. */
  readonly width: number;
  readonly rows: number;
  /** Of a curve of one writer: its rank and the number of its attempt. */
  readonly rank: number | null;
  readonly attempt: number | null;
  /** How many points the buckets hold. */
  readonly points: number;
  /** Points of the fullest bucket: with 1 the curve is exact. */
  readonly largest: number;
  /** All points of the series, also those outside of the range or of the axis. */
  readonly total: number;
  /** Place of the first bucket, and how much of the axis a count in the column `x` is. */
  readonly origin: number;
  readonly unit: number;
}

/** Bits of the column `flags`. */
export const HAS_NAN = 1;
export const HAS_INFINITY = 2;
export const HAS_NEGATIVE_INFINITY = 4;

/** A column of values: single or double precision. */
export type Values = Float32Array | Float64Array;

/** The buckets of one series. All columns have `length` rows; the place of a row is `origin + x * unit`. */
export interface Rows {
  readonly length: number;
  readonly origin: number;
  readonly unit: number;
  readonly width: number;
  /** Whether every bucket holds one point. */
  readonly exact: boolean;
  readonly x: Uint32Array | Float64Array;
  readonly min: Values;
  readonly max: Values;
  readonly mean: Values;
  readonly flags: Uint8Array;
}

/** The key of a run's metric; `part` tells series of one run apart (a writer, an attempt). */
export function seriesKey(run: string, metric: string, part = ""): string {
  return part === "" ? `${run}\n${metric}` : `${run}\n${metric}\n${part}`;
}

/** The key of a metric of a group of runs. */
export function groupKey(group: Readonly<Record<string, unknown>>, metric: string): string {
  return `${JSON.stringify(group)}\n${metric}`;
}

/** The place of a row on the axis. */
export function placeOf(rows: Rows, row: number): number {
  return rows.origin + (rows.x[row] as number) * rows.unit;
}

/**
 * The last place that the points of a bucket may have: the end of the bucket, which is aligned at a multiple of the width
 * (the buckets next to 0 on both sides are one), and before the next bucket. On an axis of whole numbers the end itself is the
 * next bucket's; on others it is taken in.
 */
export function endOf(rows: Rows, row: number): number {
  const place = placeOf(rows, row);
  const { width } = rows;
  if (rows.exact || width <= 0) return place;
  const grain = Number.isInteger(width) && Number.isInteger(rows.unit) ? 1 : 0;
  const quotient = Math.floor(Math.abs(place) / width);
  const end = place >= 0 ? (quotient + 1) * width - grain : quotient === 0 ? width - grain : -quotient * width;
  const next = row + 1 < rows.length ? placeOf(rows, row + 1) : Infinity;
  return Math.max(place, Math.min(end, next));
}

/** The first row whose place is at or behind `place`. */
export function rowAt(rows: Rows, place: number): number {
  let low = 0;
  let high = rows.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (placeOf(rows, middle) < place) low = middle + 1;
    else high = middle;
  }
  return low;
}
