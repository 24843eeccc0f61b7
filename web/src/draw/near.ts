/** Which buckets are near the pointer. */
import type { Line, Near, Report, Scene, Where } from "./messages.ts";
import type { Piece } from "./pieces.ts";
import { Scale, valueScale } from "./scale.ts";
import { drawnOf, type Drawn, type Loaded } from "./scene.ts";
import { endOf, placeOf, rowAt } from "./series.ts";

/**
 * The bucket of each curve that is nearest to the place of a pixel, those of the curves nearest to the pixel first; or the one
 * that comes next in a direction.
 */
export function near(scene: Scene, report: Report, lines: readonly Line[], loaded: Loaded, where: Where): Near[] {
  const drawn = drawnOf(scene, lines, loaded, report.x);
  if ("direction" in where) return beside(drawn, where.place, where.direction);
  const place = new Scale(report.x, scene.width).inverse(where.x);
  const up = valueScale(report.y, scene.height);
  const found: Near[] = [];
  for (const one of drawn) {
    const best = nearestOf(one.pieces, place);
    if (best !== null) found.push(nearOf(one, best.piece, best.row, Math.abs(up.at(best.piece.rows.mean[best.row] as number) - where.y)));
  }
  return found.sort((a, b) => a.distance - b.distance).slice(0, where.most);
}

function nearestOf(pieces: readonly Piece[], place: number): { piece: Piece; row: number } | null {
  let best: { piece: Piece; row: number; apart: number } | null = null;
  for (const piece of pieces) {
    const behind = rowAt(piece.rows, place);
    for (const row of [behind - 1, behind]) {
      if (row < piece.begin || row >= piece.end) continue;
      const begin = placeOf(piece.rows, row);
      const apart = begin > place ? begin - place : Math.max(0, place - endOf(piece.rows, row));
      if (best === null || apart <= best.apart) best = { piece, row, apart };
    }
    // A piece that lies beside the place as a whole.
    const edge = behind >= piece.end ? piece.end - 1 : behind < piece.begin ? piece.begin : -1;
    if (edge < 0) continue;
    const apart = Math.abs(placeOf(piece.rows, edge) - place);
    if (best === null || apart < best.apart) best = { piece, row: edge, apart };
  }
  return best;
}

function beside(drawn: readonly Drawn[], place: number, direction: 1 | -1): Near[] {
  let next: { one: Drawn; piece: Piece; row: number; place: number } | null = null;
  for (const one of drawn) {
    for (const piece of one.pieces) {
      let row = rowAt(piece.rows, place);
      if (direction < 0) row--;
      while (direction > 0 && row < piece.rows.length && placeOf(piece.rows, row) <= place) row++;
      if (row < 0 || row >= piece.rows.length) continue;
      const found = placeOf(piece.rows, row);
      if (next === null || (direction > 0 ? found < next.place : found > next.place)) next = { one, piece, row, place: found };
    }
  }
  return next === null ? [] : [nearOf(next.one, next.piece, next.row, 0)];
}

function nearOf(one: Drawn, piece: Piece, row: number, distance: number): Near {
  const { rows } = piece;
  const [mean, min, max] = [rows.mean[row], rows.min[row], rows.max[row]] as [number, number, number];
  return { key: one.line.key, place: placeOf(rows, row), mean, min, max, exact: rows.exact, distance: distance === distance ? distance : Infinity };
}
