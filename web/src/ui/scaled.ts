/** Scrolling of more lines than a browser lays out. Pure; everything in CSS pixels. */

/** No browser lays out elements much higher than this. */
export const MOST_PIXELS = 8_000_000;

export interface Scale {
  /** The height that the browser lays out. */
  readonly height: number;
  /** The height that all lines would have. */
  readonly whole: number;
  /** How far the lines move when the browser scrolls by a pixel. */
  readonly factor: number;
}

export function scaleOf(total: number, lineHeight: number, viewport: number): Scale {
  const whole = total * lineHeight;
  const height = Math.min(whole, MOST_PIXELS);
  const room = height - viewport;
  return { height, whole, factor: whole > height && room > 0 ? (whole - viewport) / room : 1 };
}

/** Where the lines stand for a place of the scroll bar. */
export function topOf(scale: Scale, scrollTop: number): number {
  return Math.max(0, scrollTop) * scale.factor;
}

/** The place of the scroll bar for where the lines stand. */
export function scrollOf(scale: Scale, top: number): number {
  return top / scale.factor;
}

/** Keep a place within the lines. */
export function within(scale: Scale, top: number, viewport: number): number {
  return Math.max(0, Math.min(top, scale.whole - viewport));
}
