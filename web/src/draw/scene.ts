/** Which curves a scene shows, and of which loads their buckets come. */
import type { Curve, Curves } from "./curves.ts";
import type { Line, Report, Scene } from "./messages.ts";
import { piecesOf, type Piece, type Window } from "./pieces.ts";
import type { Axis } from "./scale.ts";
import { placeOf, type Rows } from "./series.ts";

/** The curves that a scene names, found by the Worker. */
export interface Loaded {
  readonly base: Curves | null;
  readonly detail: Curves | null;
}

/** One curve of a picture. */
export interface Drawn {
  readonly line: Line;
  readonly base: Rows | undefined;
  readonly window: Window | null;
  readonly pieces: readonly Piece[];
  readonly curve: Curve;
}

function rowsOf(curve: Curve | undefined, scene: Scene): Rows | undefined {
  return scene.band === "spread" ? (curve?.spread ?? curve?.rows) : curve?.rows;
}

export function drawnOf(scene: Scene, lines: readonly Line[], loaded: Loaded, x: Axis): Drawn[] {
  const drawn: Drawn[] = [];
  for (const line of lines) {
    const base = loaded.base?.byKey.get(line.key);
    const detail = loaded.detail?.byKey.get(line.key);
    const curve = base ?? detail;
    if (curve === undefined) continue;
    const window = scene.detail && loaded.detail && { rows: rowsOf(detail, scene), from: scene.detail.from, to: scene.detail.to };
    const rows = rowsOf(base, scene);
    const pieces = piecesOf(rows, window, x.from, x.to);
    if (pieces.length > 0) drawn.push({ line, base: rows, window, pieces, curve: pieces.some((one) => one.rows === rows) ? curve : (detail ?? curve) });
  }
  return drawn;
}

export function extentOf(lines: readonly Line[], loaded: Loaded): Report["extent"] {
  let from = Infinity;
  let to = -Infinity;
  for (const line of lines) {
    const rows = (loaded.base ?? loaded.detail)?.byKey.get(line.key)?.rows;
    if (rows === undefined || rows.length === 0) continue;
    from = Math.min(from, placeOf(rows, 0));
    to = Math.max(to, endOfCurve(rows));
  }
  return from <= to ? { from, to } : null;
}

/** Of the last bucket nobody knows where its last point is; its first one is there for sure. */
function endOfCurve(rows: Rows): number {
  return placeOf(rows, rows.length - 1);
}
