/** Zoom and pan, as arithmetic over what an axis shows. */
import type { Scale } from "../draw/scale.ts";
import type { Range } from "./view.ts";

/** Narrower than this, in relation to how far its places are from 0, an axis has no more digits to tell places apart. */
const FINEST = 1e-12;
const LEAST = 2;

/** The axis between two pixels; null if they are nearly the same. */
export function between(scale: Scale, one: number, other: number): Range | null {
  const from = scale.inverse(Math.min(one, other));
  const to = scale.inverse(Math.max(one, other));
  return fine(from < to ? { from, to } : { from: to, to: from });
}

/** What is shown when it is stretched around a pixel by `factor` (2: half as much is shown). */
export function around(scale: Scale, pixel: number, factor: number): Range | null {
  const from = scale.inverse(pixel - pixel / factor);
  const to = scale.inverse(pixel + (scale.size - pixel) / factor);
  return fine({ from: Math.min(from, to), to: Math.max(from, to) });
}

/** What is shown when it is moved by so many pixels to the right. */
export function moved(scale: Scale, pixels: number): Range | null {
  const from = scale.inverse(-pixels);
  const to = scale.inverse(scale.size - pixels);
  return fine({ from: Math.min(from, to), to: Math.max(from, to) });
}

/** Whether an axis shows more than one place: of whole numbers (steps, microseconds, epochs) at least LEAST. */
export function isWide(range: Range, isWhole: boolean): boolean {
  return !isWhole || range.to - range.from >= LEAST;
}

function fine(range: Range): Range | null {
  const { from, to } = range;
  if (!Number.isFinite(from) || !Number.isFinite(to)) return null;
  return to - from > Math.max(Math.abs(from), Math.abs(to)) * FINEST ? range : null;
}
