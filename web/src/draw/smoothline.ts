/** The smoothed line of a curve, column by column. */
import type { Columns } from "./columns.ts";
import { coverPiece } from "./columns.ts";
import type { Piece, Window } from "./pieces.ts";
import type { Scale } from "./scale.ts";
import { endOf, type Rows } from "./series.ts";
import { smoothed } from "./smooth.ts";

/** Adds the line of smoothed values to `columns`. `base`: the whole curve, whose beginning a window goes on from. */
export function addSmoothed(
  columns: Columns,
  pieces: readonly Piece[],
  base: Rows | undefined,
  window: Window | null,
  length: number,
  x: Scale,
  y: Scale,
): void {
  let before = NaN;
  let valueBefore = NaN;
  for (const piece of pieces) {
    const isWindow = base !== undefined && piece.rows !== base && window !== null;
    const values = isWindow ? smoothed(piece.rows, length, base, window.from) : smoothed(piece.rows, length, null, 0);
    for (let row = piece.begin; row < piece.end; row++) {
      const place = x.at(Math.min(piece.high, endOf(piece.rows, row)));
      const value = y.at(values[row] as number);
      if (place !== place) continue;
      columns.corner(place, value);
      if (value === value) {
        if (valueBefore === valueBefore) coverPiece(columns.lineTop, columns.lineBottom, before, valueBefore, place, value);
        else coverPiece(columns.lineTop, columns.lineBottom, place, value, place, value);
      }
      before = place;
      valueBefore = value;
    }
  }
}
