/**
 * What a curve covers of every column of pixels.
 *
 * For each column the extremes of every bucket that touches it, and of every straight piece between two buckets that does: so
 * a spike of one point is there at every zoom. Pixels are real numbers here; y grows downwards.
 */
import type { Piece } from "./pieces.ts";
import type { Scale } from "./scale.ts";
import { endOf, HAS_INFINITY, HAS_NAN, HAS_NEGATIVE_INFINITY, placeOf } from "./series.ts";

/** A bit of `marks` beside those of `flags`: values <= 0 that a logarithmic scale cannot show. */
export const NOT_POSITIVE = 8;
/** Where the y of a column is that nothing covers: top > bottom. */
const NONE_TOP = Infinity;
const NONE_BOTTOM = -Infinity;

/** The columns of one curve. One object serves many curves: `clear` begins the next. */
export class Columns {
  /** The band of extremes. */
  readonly top: Float64Array;
  readonly bottom: Float64Array;
  /** The line of means; of an exact curve the line of its points. */
  readonly lineTop: Float64Array;
  readonly lineBottom: Float64Array;
  /** What cannot be drawn: bits of `flags` and NOT_POSITIVE. */
  readonly marks: Uint8Array;
  /** The corners of the line, as long as they are no more than columns; a y of NaN breaks it. */
  readonly cornerX: Float64Array;
  readonly cornerY: Float64Array;
  /** How many corners there are, also those that had no room. */
  corners = 0;
  /** Whether all that was drawn are points. */
  exact = true;

  constructor(readonly width: number) {
    this.top = new Float64Array(width);
    this.bottom = new Float64Array(width);
    this.lineTop = new Float64Array(width);
    this.lineBottom = new Float64Array(width);
    this.marks = new Uint8Array(width);
    this.cornerX = new Float64Array(width + 2);
    this.cornerY = new Float64Array(width + 2);
    this.clear();
  }

  clear(): void {
    this.top.fill(NONE_TOP);
    this.bottom.fill(NONE_BOTTOM);
    this.lineTop.fill(NONE_TOP);
    this.lineBottom.fill(NONE_BOTTOM);
    this.marks.fill(0);
    this.corners = 0;
    this.exact = true;
  }

  corner(x: number, y: number): void {
    if (this.corners < this.cornerX.length) {
      this.cornerX[this.corners] = x;
      this.cornerY[this.corners] = y;
    }
    this.corners++;
  }
}

/** Takes the extremes of [top, bottom] in the columns that [begin, end] touches. */
function cover(tops: Float64Array, bottoms: Float64Array, begin: number, end: number, top: number, bottom: number): void {
  const last = Math.min(tops.length - 1, Math.floor(end));
  for (let column = Math.max(0, Math.floor(begin)); column <= last; column++) {
    if (top < (tops[column] as number)) tops[column] = top;
    if (bottom > (bottoms[column] as number)) bottoms[column] = bottom;
  }
}

/** Takes the extremes of the straight piece from (x0, y0) to (x1, y1) in each column that it touches. x0 <= x1. */
export function coverPiece(tops: Float64Array, bottoms: Float64Array, x0: number, y0: number, x1: number, y1: number): void {
  const first = Math.max(0, Math.floor(x0));
  const last = Math.min(tops.length - 1, Math.floor(x1));
  const slope = x1 > x0 ? (y1 - y0) / (x1 - x0) : 0;
  const low = Math.min(y0, y1);
  const high = Math.max(y0, y1);
  for (let column = first; column <= last; column++) {
    const begin = column <= x0 ? y0 : y0 + (column - x0) * slope;
    const end = column + 1 >= x1 ? y1 : y0 + (column + 1 - x0) * slope;
    const top = Math.max(low, Math.min(begin, end));
    const bottom = Math.min(high, Math.max(begin, end));
    if (top < (tops[column] as number)) tops[column] = top;
    if (bottom > (bottoms[column] as number)) bottoms[column] = bottom;
  }
}

/**
 * Adds the pieces of one curve. Infinite extremes reach the edge of the picture (0 or `height`), and so do values <= 0 on a
 * logarithmic scale; both are marked.
 */
export function addCurve(columns: Columns, pieces: readonly Piece[], x: Scale, y: Scale, height: number): void {
  const { top, bottom, lineTop, lineBottom, marks } = columns;
  // The bucket before: where it ends, its extremes; and the corner before. NaN: there is none.
  let endBefore = NaN;
  let topBefore = NaN;
  let bottomBefore = NaN;
  let cornerX = NaN;
  let cornerY = NaN;
  for (const piece of pieces) {
    const { rows } = piece;
    const { exact } = rows;
    if (!exact) columns.exact = false;
    for (let row = piece.begin; row < piece.end; row++) {
      const begin = x.at(Math.max(piece.low, placeOf(rows, row)));
      const end = exact ? begin : x.at(Math.min(piece.high, endOf(rows, row)));
      // Before the first place of a logarithmic axis.
      if (end !== end) continue;
      const from = begin === begin ? begin : 0;
      const mean = rows.mean[row] as number;
      const high = exact ? mean : (rows.max[row] as number);
      const low = exact ? mean : (rows.min[row] as number);
      const flags = rows.flags[row] as number;
      let mark = flags;
      if (y.log && low <= 0 && low !== -Infinity) mark |= NOT_POSITIVE;
      if (mark !== 0) {
        const last = Math.min(columns.width - 1, Math.floor(end));
        for (let column = Math.max(0, Math.floor(from)); column <= last; column++) marks[column] = (marks[column] as number) | mark;
      }
      let topNow = high === Infinity ? 0 : y.at(high);
      let bottomNow = low === -Infinity || (y.log && low <= 0) ? height : y.at(low);
      if (high === Infinity && bottomNow < 0) topNow = bottomNow;
      if (bottomNow === height && topNow > height) bottomNow = topNow;
      // Nothing but infinities: only a mark says so.
      if (high === -Infinity || low === Infinity || (exact && (high === Infinity || topNow !== topNow))) topNow = bottomNow = NaN;
      if (topNow === topNow && bottomNow === bottomNow) {
        cover(top, bottom, from, end, topNow, bottomNow);
        if (endBefore === endBefore && Math.floor(endBefore) !== Math.floor(from)) {
          coverPiece(top, bottom, endBefore, topBefore, from, topNow);
          coverPiece(top, bottom, endBefore, bottomBefore, from, bottomNow);
        }
        endBefore = end;
        topBefore = topNow;
        bottomBefore = bottomNow;
      } else {
        endBefore = NaN;
      }
      const middle = exact ? from : (from + end) / 2;
      const value = Number.isFinite(mean) ? y.at(mean) : NaN;
      columns.corner(middle, value);
      if (value === value) {
        if (cornerY === cornerY) coverPiece(lineTop, lineBottom, cornerX, cornerY, middle, value);
        else cover(lineTop, lineBottom, middle, middle, value, value);
      }
      cornerX = middle;
      cornerY = value;
    }
  }
}

export { HAS_INFINITY, HAS_NAN, HAS_NEGATIVE_INFINITY };
