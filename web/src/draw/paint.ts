/** Paints the curves of a chart into a picture in memory. Pure but for the clock that it is given. */
import { addCurve, Columns, HAS_INFINITY, HAS_NAN, HAS_NEGATIVE_INFINITY, NOT_POSITIVE } from "./columns.ts";
import { newSample, padded, robust, widen, type Extent } from "./extent.ts";
import type { Line, Report, Scene } from "./messages.ts";
import { addSmoothed } from "./smoothline.ts";
import { colourOf, Pixels } from "./pixels.ts";
import { drawnOf, extentOf, type Drawn, type Loaded } from "./scene.ts";
import { Scale, valueScale, type Axis } from "./scale.ts";
import { endOf, placeOf, type Rows } from "./series.ts";
import { drawMarks, drawPolyline, drawSpans, fillBand, type Stroke } from "./strokes.ts";

/** Lengths on and off, in pixels of CSS, by the number of a dash. */
const DASHES: readonly (readonly [number, number] | null)[] = [null, [7, 4], [2, 3], [12, 4]];
/** Alphas, of 256: of a band among few curves and among many, of a smoothed curve's raw one, of what does not stand out. */
const BAND = 62;
const BAND_OF_MANY = 26;
const MANY = 24;
const RAW = 76;
const DIMMED = 46;
/** Pixels of CSS. */
const LINE_WIDTH = 1.5;
const WIDTH_AMONG_MANY = 1.15;
const HIGHLIGHTED_WIDTH = 2.5;
const MARK_SIZE = 5;

export class Painter {
  readonly pixels = new Pixels();
  private columns = new Columns(0);

  constructor(private readonly now: () => number) {}

  /** Paints the scene into `pixels`. */
  paint(scene: Scene, lines: readonly Line[], loaded: Loaded): Report {
    const began = this.now();
    const { extent, x, drawn, y, values, robustly } = arranged(scene, lines, loaded);
    const across = new Scale(x, scene.width);
    const up = valueScale(y, scene.height);
    this.pixels.resize(scene.width, scene.height);
    if (this.columns.width !== scene.width) this.columns = new Columns(scene.width);
    const counts = { nan: 0, infinite: 0, notPositive: 0, exact: true, largest: 0 };
    for (const one of inOrder(drawn, scene.highlighted)) {
      this.columns.clear();
      addCurve(this.columns, one.pieces, across, up, scene.height);
      count(counts, this.columns, one);
      this.stroke(scene, one, drawn.length, across, up);
    }
    this.pixels.finish();
    const outside = robustly || scene.y !== null ? countOutside(drawn, x, y) : { above: 0, below: 0 };
    const beforeAxis = scene.xLog ? drawn.filter((one) => (one.base?.length ?? 0) > 0 && placeOf(one.base as Rows, 0) <= 0).length : 0;
    const seen = values.low <= values.high ? values : null;
    return { x, y, extent, values: seen, curves: drawn.length, ...counts, ...outside, beforeAxis, took: this.now() - began };
  }

  private stroke(scene: Scene, one: Drawn, many: number, x: Scale, y: Scale): void {
    const { columns, pixels } = this;
    const stands = scene.highlighted !== null && isHighlighted(one.line, scene.highlighted);
    const dimmed = scene.highlighted !== null && !stands;
    const colour = colourOf(one.line.rgb);
    const alpha = dimmed ? DIMMED : 256;
    const width = (stands ? HIGHLIGHTED_WIDTH : many > MANY ? WIDTH_AMONG_MANY : LINE_WIDTH) * scene.ratio;
    const dash = DASHES[one.line.dash % DASHES.length] ?? null;
    const stroke: Stroke = { colour, width, alpha, dash: dash && [dash[0] * scene.ratio, dash[1] * scene.ratio] };
    const smooth = scene.smoothing !== null && scene.smoothing > 0;
    if (!columns.exact && scene.band !== "solid") {
      const band = many > MANY && !stands ? BAND_OF_MANY : BAND;
      fillBand(pixels, columns, colour, dimmed ? band >> 1 : band);
    }
    const raw = smooth ? { ...stroke, alpha: dimmed ? DIMMED >> 1 : RAW, dash: null } : stroke;
    if (!columns.exact && scene.band === "solid") drawSpans(pixels, columns.top, columns.bottom, raw);
    else if (columns.corners <= columns.width / 2) drawPolyline(pixels, columns, raw);
    else drawSpans(pixels, columns.lineTop, columns.lineBottom, raw);
    drawMarks(pixels, columns, colour, alpha, Math.round(MARK_SIZE * scene.ratio));
    if (!smooth || scene.smoothing === null) return;
    columns.clear();
    addSmoothed(columns, one.pieces, one.base, one.window, scene.smoothing, x, y);
    if (columns.corners <= columns.width / 2) drawPolyline(pixels, columns, stroke);
    else drawSpans(pixels, columns.lineTop, columns.lineBottom, stroke);
  }
}

/** What a scene shows, before anything is painted: its curves and axes. */
export function arranged(scene: Scene, lines: readonly Line[], loaded: Loaded) {
  const extent = extentOf(lines, loaded);
  const x = axisOfPlaces(scene, extent);
  const drawn = drawnOf(scene, lines, loaded, x);
  return { extent, x, drawn, ...axisOfValues(scene, drawn, x) };
}

function axisOfPlaces(scene: Scene, extent: Report["extent"]): Axis {
  let { from, to } = scene.x ?? extent ?? { from: 0, to: 1 };
  if (scene.xLog) {
    if (to <= 0) to = 10;
    if (from <= 0) from = Math.min(1, to / 10);
  }
  if (from === to) [from, to] = scene.xLog ? [from / 2, to * 2] : [from - 0.5, to + 0.5];
  return { from, to, log: scene.xLog };
}

function axisOfValues(scene: Scene, drawn: readonly Drawn[], x: Axis): { y: Axis; values: Extent; robustly: boolean } {
  const values: Extent = { low: Infinity, high: -Infinity };
  const sample = scene.outliers ? newSample() : null;
  for (const one of drawn) widen(values, one.pieces, x.from, x.to, scene.yLog, sample);
  const shown = sample === null ? values : robust(values, sample, scene.yLog);
  const fixed = scene.y !== null && (!scene.yLog || scene.y.from > 0) ? scene.y : null;
  return { y: { ...(fixed ?? padded(shown, scene.yLog)), log: scene.yLog }, values, robustly: shown !== values };
}

function count(counts: { nan: number; infinite: number; notPositive: number; exact: boolean; largest: number }, columns: Columns, one: Drawn): void {
  let marks = 0;
  for (let column = 0; column < columns.width; column++) marks |= columns.marks[column] as number;
  if (marks & HAS_NAN) counts.nan++;
  if (marks & (HAS_INFINITY | HAS_NEGATIVE_INFINITY)) counts.infinite++;
  if (marks & NOT_POSITIVE) counts.notPositive++;
  if (!columns.exact) counts.exact = false;
  counts.largest = Math.max(counts.largest, columns.exact ? 1 : one.curve.info.largest);
}

/** Buckets that have a point above or below the picture, and touch what it shows. */
function countOutside(drawn: readonly Drawn[], x: Axis, y: Axis): { above: number; below: number } {
  let above = 0;
  let below = 0;
  for (const { pieces } of drawn) {
    for (const { rows, begin, end } of pieces) {
      for (let row = begin; row < end; row++) {
        if (placeOf(rows, row) > x.to || endOf(rows, row) < x.from) continue;
        const high = rows.exact ? rows.mean[row] : rows.max[row];
        const low = rows.exact ? rows.mean[row] : rows.min[row];
        if ((high as number) > y.to) above++;
        if ((low as number) < y.from) below++;
      }
    }
  }
  return { above, below };
}

export function isHighlighted(line: Line, highlighted: string): boolean {
  return highlighted.endsWith("\n") ? line.key.startsWith(highlighted) : line.key === highlighted;
}

/** Those that stand out last, above the others. */
function inOrder(drawn: readonly Drawn[], highlighted: string | null): readonly Drawn[] {
  if (highlighted === null) return drawn;
  const stands = drawn.filter((one) => isHighlighted(one.line, highlighted));
  return [...drawn.filter((one) => !stands.includes(one)), ...stands];
}
