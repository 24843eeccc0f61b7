/** How a chart's box is divided, in pixels of CSS, and where its ticks stand. */
import type { Scale } from "../draw/scale.ts";
import { kindOf } from "./format.ts";
import { above, besides, ticksOf, type Tick } from "./ticks.ts";
import type { XAxis } from "./view.ts";

/** Of a character of a label (11 px, digits), at most. */
export const CHARACTER = 6.6;
/** Of a line of labels. */
export const LINE = 18;
/** Below the plot: for labels of places. Above and beside it: for halves of labels. */
export const BOTTOM = 20;
export const TOP = 6;
export const RIGHT = 10;
/** Between labels beside each other. */
const GAP = 12;
/** Labels of values have no more characters than this, and the gutter room for at least so many. */
const MOST_CHARACTERS = 12;
const LEAST_CHARACTERS = 5;

/** The newest ticks: the charts of a page are zoomed together, and most are equally wide. */
let known: { readonly scale: Scale; readonly axis: XAxis; readonly ticks: readonly Tick[] } | null = null;

export function ticksAcross(scale: Scale, axis: XAxis): readonly Tick[] {
  if (known !== null && known.axis === axis && isAlike(known.scale, scale)) return known.ticks;
  const ticks = ticksOf(scale.axis, kindOf(axis), besides((at) => scale.at(at), CHARACTER, GAP, scale.size), axis.startsWith("metric:") ? 0 : 1, Math.ceil(scale.size / (GAP + CHARACTER)));
  known = { scale, axis, ticks };
  return ticks;
}

function isAlike(one: Scale, other: Scale): boolean {
  return one.size === other.size && one.log === other.log && one.axis.from === other.axis.from && one.axis.to === other.axis.to;
}

/** `scale`: as `valueScale` makes it, the highest value on top. */
export function ticksUp(scale: Scale): Tick[] {
  const axis = { from: scale.axis.to, to: scale.axis.from, log: scale.axis.log };
  const apart = Math.max(LINE, scale.size / 9);
  const fits = above((at) => scale.at(at), apart, MOST_CHARACTERS);
  return ticksOf(axis, "number", fits, 0, Math.ceil(scale.size / apart));
}

/** The width of the gutter that has room for the labels. It changes in steps of two characters, so that plots stay in line. */
export function gutterOf(ticks: readonly Tick[]): number {
  const longest = ticks.reduce((most, { label }) => Math.max(most, label.length), LEAST_CHARACTERS);
  return Math.ceil((Math.ceil(longest / 2) * 2 * CHARACTER + 10) / 2) * 2;
}
