/** Curves as paths of SVG: what the pixels of a picture cover, column by column, for files that are printed. */
import { addCurve, Columns } from "./columns.ts";
import type { Line, Outline, Scene } from "./messages.ts";
import { arranged } from "./paint.ts";
import type { Loaded } from "./scene.ts";
import { Scale, valueScale } from "./scale.ts";
import { addSmoothed } from "./smoothline.ts";

/** The curves of a scene; its `ratio` says how fine they are: columns for a pixel of CSS. */
export function outlinesOf(scene: Scene, lines: readonly Line[], loaded: Loaded): Outline[] {
  const { x, y, drawn } = arranged(scene, lines, loaded);
  const across = new Scale(x, scene.width);
  const up = valueScale(y, scene.height);
  const columns = new Columns(scene.width);
  return drawn.map(({ line, pieces, base, window }) => {
    columns.clear();
    addCurve(columns, pieces, across, up, scene.height);
    const { exact } = columns;
    const band = exact ? "" : bandPath(columns.top, columns.bottom, scene.ratio);
    if (scene.smoothing !== null) {
      columns.clear();
      addSmoothed(columns, pieces, base, window, scene.smoothing, across, up);
    }
    const few = columns.corners <= columns.width;
    const path = few ? cornerPath(columns, scene.ratio) : spanPath(columns.lineTop, columns.lineBottom, scene.ratio);
    return { key: line.key, rgb: line.rgb, dash: line.dash, band, line: path };
  });
}

function text(pixels: number, ratio: number): string {
  // Far beyond the picture a path needs no digits, and viewers fail at very large numbers.
  return String(Math.round((Math.max(-1e5, Math.min(1e5, pixels)) / ratio) * 100) / 100);
}

function cornerPath(columns: Columns, ratio: number): string {
  let path = "";
  let isOn = false;
  for (let at = 0; at < columns.corners; at++) {
    const y = columns.cornerY[at] as number;
    if (y === y) path += `${isOn ? "L" : "M"}${text(columns.cornerX[at] as number, ratio)} ${text(y, ratio)}`;
    isOn = y === y;
  }
  return path;
}

/** Down and up through the extremes of each column. */
function spanPath(tops: Float64Array, bottoms: Float64Array, ratio: number): string {
  let path = "";
  let isOn = false;
  for (let column = 0; column < tops.length; column++) {
    const [top, bottom] = [tops[column] as number, bottoms[column] as number];
    const isThere = top <= bottom;
    if (isThere) path += `${isOn ? "L" : "M"}${text(column + 0.5, ratio)} ${text(top, ratio)}V${text(bottom, ratio)}`;
    isOn = isThere;
  }
  return path;
}

function bandPath(tops: Float64Array, bottoms: Float64Array, ratio: number): string {
  let path = "";
  for (let column = 0; column < tops.length; column++) {
    if (!((tops[column] as number) <= (bottoms[column] as number))) continue;
    const begin = column;
    let back = "";
    for (; column < tops.length && (tops[column] as number) <= (bottoms[column] as number); column++) {
      const [left, right] = [text(column, ratio), text(column + 1, ratio)];
      path += `${column === begin ? "M" : "L"}${left} ${text(tops[column] as number, ratio)}H${right}`;
      back = `L${right} ${text(bottoms[column] as number, ratio)}H${left}${back}`;
    }
    path += `${back}Z`;
  }
  return path;
}
