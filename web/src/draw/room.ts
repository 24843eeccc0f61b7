/** Room for a curve to grow: columns that are longer than the curve, in the same few bytes a bucket as the response had. */
import { placeOf, type Rows, type Values } from "./series.ts";

/** Buckets that replace those of a series from a place on, as the live stream brings them. */
export interface Tail {
  readonly key: string;
  /** Buckets at this place and behind it are replaced. */
  readonly from: number;
  readonly x: Float64Array;
  readonly min: Float64Array;
  readonly max: Float64Array;
  readonly mean: Float64Array;
  readonly flags: Uint8Array;
  /** All points that the series has on the axis now. */
  readonly points: number;
}

const MAX_COUNT = 2 ** 32 - 1;

/** The columns of one curve. What `rows` returned is overwritten by the next tail. */
export class Room {
  private x: Uint32Array | Float64Array;
  private min: Values;
  private max: Values;
  private mean: Values;
  private flags: Uint8Array;

  constructor(private rows: Rows) {
    this.x = rows.x;
    this.min = rows.min;
    this.max = rows.max;
    this.mean = rows.mean;
    this.flags = rows.flags;
  }

  /** Puts a tail in the place of what was there. The curve is exact if it has as many points as buckets then. */
  append(tail: Tail): Rows {
    const { rows } = this;
    let kept = rows.length;
    while (kept > 0 && placeOf(rows, kept - 1) >= tail.from) kept--;
    const length = kept + tail.x.length;
    if (length > this.x.length) this.reserve(Math.ceil(length * 1.25) + 16, kept);
    const counted = this.counted(tail);
    for (let at = 0, row = kept; row < length; at++, row++) {
      const value = tail.x[at] as number;
      this.x[row] = counted ? (value - rows.origin) / rows.unit : value;
      this.min[row] = this.min instanceof Float32Array ? singleBelow(tail.min[at] as number) : (tail.min[at] as number);
      this.max[row] = this.max instanceof Float32Array ? singleAbove(tail.max[at] as number) : (tail.max[at] as number);
      this.mean[row] = tail.mean[at] as number;
      this.flags[row] = tail.flags[at] as number;
    }
    const { origin, unit } = counted ? rows : { origin: 0, unit: 1 };
    this.rows = {
      length,
      origin,
      unit,
      width: rows.width,
      exact: tail.points === length,
      x: this.x.subarray(0, length),
      min: this.min.subarray(0, length),
      max: this.max.subarray(0, length),
      mean: this.mean.subarray(0, length),
      flags: this.flags.subarray(0, length),
    };
    return this.rows;
  }

  /** Whether the places of the tail have room in the column; otherwise it is made one of doubles. */
  private counted(tail: Tail): boolean {
    const { origin, unit } = this.rows;
    if (this.x instanceof Float64Array) return origin !== 0 || unit !== 1;
    for (const place of tail.x) {
      const count = (place - origin) / unit;
      if (count < 0 || count > MAX_COUNT || !Number.isInteger(count)) {
        const places = new Float64Array(this.x.length);
        for (let row = 0; row < this.x.length; row++) places[row] = origin + (this.x[row] as number) * unit;
        this.x = places;
        return false;
      }
    }
    return true;
  }

  private reserve(capacity: number, kept: number): void {
    this.x = grown(this.x, capacity, kept);
    this.min = grown(this.min, capacity, kept);
    this.max = grown(this.max, capacity, kept);
    this.mean = grown(this.mean, capacity, kept);
    this.flags = grown(this.flags, capacity, kept);
  }
}

function grown<T extends Uint32Array | Values | Uint8Array>(values: T, capacity: number, kept: number): T {
  const larger = new (values.constructor as { new (length: number): T })(capacity);
  larger.set(values.subarray(0, kept));
  return larger;
}

const single = new Float32Array(1);
const bits = new Int32Array(single.buffer);

/** The largest single that is not above the value. */
export function singleBelow(value: number): number {
  single[0] = value;
  return (single[0] as number) > value ? beside(-1) : (single[0] as number);
}

/** The smallest single that is not below the value. */
export function singleAbove(value: number): number {
  single[0] = value;
  return (single[0] as number) < value ? beside(1) : (single[0] as number);
}

/** The single beside the one in `single`: above (1) or below it (-1). */
function beside(direction: 1 | -1): number {
  if (single[0] === 0) {
    bits[0] = direction > 0 ? 1 : -0x7fffffff;
  } else {
    const up = ((bits[0] as number) >= 0) === direction > 0;
    bits[0] = (bits[0] as number) + (up ? 1 : -1);
  }
  return single[0] as number;
}
