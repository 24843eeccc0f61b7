/** Lines, bands and marks of one curve as pixels. Lengths in pixels of the device. */
import { HAS_INFINITY, HAS_NAN, HAS_NEGATIVE_INFINITY, NOT_POSITIVE, type Columns } from "./columns.ts";
import type { Colour, Pixels } from "./pixels.ts";

/** How a line looks. Alphas: 0 to 256. `dash`: lengths on and off; null for a line without gaps. */
export interface Stroke {
  readonly colour: Colour;
  readonly width: number;
  readonly alpha: number;
  readonly dash: readonly [number, number] | null;
}

/** Above this many pixels between points each has a dot. */
const ROOM_FOR_DOTS = 9;
/** Of a dashed line's gaps: a gap must not hide a value, so it is pale and not empty. */
const GAP_ALPHA = 0.22;

export function fillBand(pixels: Pixels, columns: Columns, colour: Colour, alpha: number): void {
  for (let column = 0; column < columns.width; column++) {
    const top = columns.top[column] as number;
    const bottom = columns.bottom[column] as number;
    if (top <= bottom) pixels.span(column, top - 0.5, bottom + 0.5, colour, alpha);
  }
}

/** Draws spans from the highest to the lowest place of the line in each column: the line of many points. */
export function drawSpans(pixels: Pixels, tops: Float64Array, bottoms: Float64Array, stroke: Stroke): void {
  const half = stroke.width / 2;
  for (let column = 0; column < tops.length; column++) {
    const top = tops[column] as number;
    const bottom = bottoms[column] as number;
    if (!(top <= bottom)) continue;
    const faint = stroke.dash !== null && bottom - top < 4 && column % (stroke.dash[0] + stroke.dash[1]) >= stroke.dash[0];
    pixels.span(column, top - half, bottom + half, stroke.colour, faint ? Math.round(stroke.alpha * GAP_ALPHA) : stroke.alpha);
  }
}

/** Draws the corners of the line, which are all there (`columns.corners` has room), and straight pieces between them. */
export function drawPolyline(pixels: Pixels, columns: Columns, stroke: Stroke): void {
  const { cornerX, cornerY, corners } = columns;
  const half = stroke.width / 2;
  const roomy = columns.exact && columns.width / Math.max(1, corners) > ROOM_FOR_DOTS;
  let length = 0;
  for (let at = 0; at < corners; at++) {
    const x = cornerX[at] as number;
    const y = cornerY[at] as number;
    if (y !== y) continue;
    const before = at > 0 && cornerY[at - 1] === cornerY[at - 1];
    const behind = at + 1 < corners && cornerY[at + 1] === cornerY[at + 1];
    if (before) length = drawPiece(pixels, cornerX[at - 1] as number, cornerY[at - 1] as number, x, y, stroke, length);
    if (x < -4 || x > columns.width + 4) continue;
    if (!before && !behind) pixels.disc(x, y, Math.max(2, half + 1.2), stroke.colour, stroke.alpha);
    else if (roomy) pixels.disc(x, y, half + 1, stroke.colour, stroke.alpha);
    else if (stroke.alpha > 200) pixels.disc(x, y, half, stroke.colour, stroke.alpha);
  }
}

/** Draws one straight piece and returns the length of the line up to its end. Each pixel's centre is in one piece only. */
function drawPiece(pixels: Pixels, x0: number, y0: number, x1: number, y1: number, stroke: Stroke, before: number): number {
  const dx = x1 - x0;
  const dy = y1 - y0;
  const length = Math.hypot(dx, dy);
  if (!(length > 0) || !Number.isFinite(length)) return before;
  const half = stroke.width / 2;
  if (Math.abs(dx) >= Math.abs(dy)) {
    const slope = dy / dx;
    const reach = (half * length) / dx;
    const last = Math.min(pixels.width - 1, Math.ceil(x1 - 0.5) - 1);
    for (let column = Math.max(0, Math.ceil(x0 - 0.5)); column <= last; column++) {
      const along = column + 0.5 - x0;
      const y = y0 + along * slope;
      pixels.span(column, y - reach, y + reach, stroke.colour, alphaAt(stroke, before + (along * length) / dx));
    }
    return before + length;
  }
  const slope = dx / dy;
  const reach = (half * length) / Math.abs(dy);
  const [top, bottom] = dy > 0 ? [y0, y1] : [y1, y0];
  const last = Math.min(pixels.height - 1, Math.ceil(bottom - 0.5) - 1);
  for (let row = Math.max(0, Math.ceil(top - 0.5)); row <= last; row++) {
    const along = row + 0.5 - y0;
    const x = x0 + along * slope;
    const alpha = alphaAt(stroke, before + (along * length) / dy);
    const begin = x - reach;
    const end = x + reach;
    for (let column = Math.floor(begin); column <= Math.floor(end); column++) {
      const covered = Math.min(end, column + 1) - Math.max(begin, column);
      if (covered > 0) pixels.point(column, row, stroke.colour, Math.round(alpha * Math.min(1, covered)));
    }
  }
  return before + length;
}

function alphaAt(stroke: Stroke, along: number): number {
  if (stroke.dash === null) return stroke.alpha;
  const [on, off] = stroke.dash;
  return along % (on + off) < on ? stroke.alpha : Math.round(stroke.alpha * GAP_ALPHA);
}

/** Marks, at the edges of the picture, where a curve has what no scale shows. `size`: of a mark. */
export function drawMarks(pixels: Pixels, columns: Columns, colour: Colour, alpha: number, size: number): void {
  drawMark(pixels, columns, HAS_NAN, size, (x) => cross(pixels, x, pixels.height - size * 2.5, size, colour, alpha));
  drawMark(pixels, columns, HAS_INFINITY, size, (x) => triangle(pixels, x, 0, size, 1, colour, alpha));
  drawMark(pixels, columns, HAS_NEGATIVE_INFINITY, size, (x) => triangle(pixels, x, pixels.height - 1, size, -1, colour, alpha));
  drawMark(pixels, columns, NOT_POSITIVE, size, (x) => {
    pixels.span(x, pixels.height - size, pixels.height, colour, alpha);
  });
}

/** Calls `draw` for the columns that have a mark, and of neighbours for one in `size`. */
function drawMark(pixels: Pixels, columns: Columns, bit: number, size: number, draw: (column: number) => void): void {
  const apart = bit === NOT_POSITIVE ? 1 : Math.max(1, Math.round(size));
  let next = 0;
  for (let column = 0; column < Math.min(pixels.width, columns.width); column++) {
    if (((columns.marks[column] as number) & bit) === 0 || column < next) continue;
    draw(column);
    next = column + apart;
  }
}

function cross(pixels: Pixels, x: number, y: number, size: number, colour: Colour, alpha: number): void {
  const reach = Math.round(size / 2);
  const row = Math.round(y);
  for (let at = -reach; at <= reach; at++) {
    pixels.point(x + at, row + at, colour, alpha);
    pixels.point(x + at, row - at, colour, alpha);
    pixels.point(x + at + 1, row + at, colour, alpha >> 1);
    pixels.point(x + at + 1, row - at, colour, alpha >> 1);
  }
}

function triangle(pixels: Pixels, x: number, row: number, size: number, down: number, colour: Colour, alpha: number): void {
  const rows = Math.round(size);
  for (let at = 0; at < rows; at++) {
    for (let right = -at; right <= at; right++) pixels.point(x + right, row + down * at, colour, alpha);
  }
}
