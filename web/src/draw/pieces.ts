/** One curve made of several loads: what is loaded finely inside of a window, and everything around it. */
import { endOf, placeOf, rowAt, type Rows } from "./series.ts";

/** Rows [begin, end) of a curve, as far as they lie in [low, high]. */
export interface Piece {
  readonly rows: Rows;
  readonly begin: number;
  readonly end: number;
  /** Places outside are another piece's. */
  readonly low: number;
  readonly high: number;
}

/** A load of the window [from, to] of the axis, both included. */
export interface Window {
  readonly rows: Rows | undefined;
  readonly from: number;
  readonly to: number;
}

/**
 * The pieces that show [from, to], in order, with a row before and a row behind it where there is one. `base` is the curve
 * over everything; `detail` is a window with finer buckets. A bucket of the base that reaches into the window from outside is
 * drawn up to its edge, because nobody knows on which side its points are.
 */
export function piecesOf(base: Rows | undefined, detail: Window | null, from: number, to: number): Piece[] {
  if (base === undefined) {
    return detail?.rows === undefined ? [] : around([whole(detail.rows)], from, to);
  }
  if (detail === null || base.exact || !isFiner(base, detail)) return around([whole(base)], from, to);
  const pieces: Piece[] = [];
  const left = rowAt(base, detail.from);
  if (left > 0) pieces.push({ rows: base, begin: 0, end: left, low: -Infinity, high: detail.from });
  if (detail.rows !== undefined) pieces.push(whole(detail.rows));
  const behind = rowBehind(base, detail.to);
  const straddles = behind > left && endOf(base, behind - 1) > detail.to;
  const right = straddles ? behind - 1 : behind;
  if (right < base.length) pieces.push({ rows: base, begin: right, end: base.length, low: detail.to, high: Infinity });
  return around(pieces, from, to);
}

/** Whether the window knows more than the base does: not, if the base has points where the window has none. */
function isFiner(base: Rows, detail: Window): boolean {
  if (detail.rows !== undefined && detail.rows.length > 0) return detail.rows.exact || detail.rows.width < base.width;
  const inside = rowAt(base, detail.from);
  return inside >= base.length || placeOf(base, inside) > detail.to;
}

function whole(rows: Rows): Piece {
  return { rows, begin: 0, end: rows.length, low: -Infinity, high: Infinity };
}

/** The pieces cut to the rows that touch [from, to], and one more on each side. */
function around(pieces: readonly Piece[], from: number, to: number): Piece[] {
  const cut: Piece[] = [];
  for (const piece of pieces) {
    const begin = Math.max(piece.begin, rowAt(piece.rows, from) - 1);
    const end = Math.min(piece.end, rowBehind(piece.rows, to) + 1);
    if (begin < end) cut.push({ ...piece, begin, end });
  }
  return cut;
}

/** The first row behind a place. */
function rowBehind(rows: Rows, place: number): number {
  let row = rowAt(rows, place);
  while (row < rows.length && placeOf(rows, row) <= place) row++;
  return row;
}
