/** From places and values to pixels. */

/** What an axis shows: from one place or value to another, evenly or by the logarithm. */
export interface Axis {
  readonly from: number;
  readonly to: number;
  readonly log: boolean;
}

/** Maps an axis onto [0, size]: `from` is at pixel 0, `to` at pixel `size`. On a logarithmic axis what is <= 0 is NaN. */
export class Scale {
  readonly log: boolean;
  private readonly begin: number;
  private readonly factor: number;

  constructor(
    readonly axis: Axis,
    readonly size: number,
  ) {
    this.log = axis.log;
    this.begin = axis.log ? Math.log10(axis.from) : axis.from;
    const end = axis.log ? Math.log10(axis.to) : axis.to;
    this.factor = end === this.begin ? 0 : size / (end - this.begin);
  }

  /** The pixel of a place or value. */
  at(value: number): number {
    if (!this.log) return (value - this.begin) * this.factor;
    return value > 0 ? (Math.log10(value) - this.begin) * this.factor : NaN;
  }

  /** What is at a pixel. */
  inverse(pixel: number): number {
    const place = this.factor === 0 ? this.begin : this.begin + pixel / this.factor;
    return this.log ? 10 ** place : place;
  }
}

/** The scale of values: the highest is at pixel 0, the top. */
export function valueScale(axis: Axis, height: number): Scale {
  return new Scale({ from: axis.to, to: axis.from, log: axis.log }, height);
}

/** How the picture of one axis is moved and stretched to be that of another: `pixel * factor + offset`. */
export function stretched(drawn: Scale, shown: Scale): { factor: number; offset: number } {
  const begin = shown.at(drawn.axis.from);
  const end = shown.at(drawn.axis.to);
  return { factor: drawn.size === 0 ? 1 : (end - begin) / drawn.size, offset: begin };
}
