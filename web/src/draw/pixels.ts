/** A picture in memory: red, green, blue and alpha in 8 bits each, colours multiplied by alpha until `finish`. */

/** A colour as the blending wants it: red and blue in one number, alpha (always 255) and green in another. */
export interface Colour {
  readonly redBlue: number;
  readonly green: number;
}

/** Of red, green, blue in [0, 255], as 0xRRGGBB. */
export function colourOf(rgb: number): Colour {
  return { redBlue: ((rgb & 0xff) << 16) | ((rgb >>> 16) & 0xff), green: 0xff0000 | ((rgb >>> 8) & 0xff) };
}

export class Pixels {
  /** Little-endian RGBA, rows from the top. */
  data: Uint32Array<ArrayBuffer>;
  width = 0;
  height = 0;

  constructor() {
    this.data = new Uint32Array(0);
  }

  /** Makes an empty picture of this size. */
  resize(width: number, height: number): void {
    if (width * height > this.data.length) this.data = new Uint32Array(width * height);
    else this.data.fill(0, 0, width * height);
    this.width = width;
    this.height = height;
  }

  /** Lays a colour over one pixel. alpha: 0 to 256. Outside of the picture nothing happens. */
  point(column: number, row: number, colour: Colour, alpha: number): void {
    if (column < 0 || row < 0 || column >= this.width || row >= this.height) return;
    over(this.data, row * this.width + column, colour, alpha);
  }

  /**
   * Lays a colour over [top, bottom] of a column; the pixels at both ends get as much of it as is covered. alpha: 0 to 256.
   */
  span(column: number, top: number, bottom: number, colour: Colour, alpha: number): void {
    if (column < 0 || column >= this.width) return;
    const begin = Math.max(0, top);
    const end = Math.min(this.height, bottom);
    if (!(begin < end)) return;
    const { data, width } = this;
    const first = Math.floor(begin);
    const last = Math.min(this.height - 1, Math.floor(end));
    let at = first * width + column;
    if (first === last) {
      over(data, at, colour, Math.round(alpha * (end - begin)));
      return;
    }
    over(data, at, colour, Math.round(alpha * (first + 1 - begin)));
    const inverse = 256 - alpha;
    const redBlue = Math.imul(colour.redBlue, alpha);
    const green = Math.imul(colour.green, alpha);
    for (let row = first + 1; row < last; row++) {
      at += width;
      const was = data[at] as number;
      data[at] =
        (((Math.imul(was & 0xff00ff, inverse) + redBlue) >>> 8) & 0xff00ff) |
        ((Math.imul((was >>> 8) & 0xff00ff, inverse) + green) & 0xff00ff00);
    }
    over(data, at + width, colour, Math.round(alpha * (end - last)));
  }

  /** A full disc with soft edges. Lengths in pixels. */
  disc(x: number, y: number, radius: number, colour: Colour, alpha: number): void {
    const reach = Math.ceil(radius + 0.5);
    const column = Math.floor(x);
    const row = Math.floor(y);
    for (let down = -reach; down <= reach; down++) {
      for (let right = -reach; right <= reach; right++) {
        const distance = Math.hypot(column + right + 0.5 - x, row + down + 0.5 - y);
        const covered = Math.min(1, Math.max(0, radius + 0.5 - distance));
        if (covered > 0) this.point(column + right, row + down, colour, Math.round(alpha * covered));
      }
    }
  }

  /** Divides the colours by alpha, as pictures in browsers have them. */
  finish(): void {
    const { data } = this;
    const length = this.width * this.height;
    for (let at = 0; at < length; at++) {
      const was = data[at] as number;
      if (was === 0) continue;
      const alpha = was >>> 24;
      if (alpha === 255 || alpha === 0) continue;
      const factor = 255 / alpha;
      const red = Math.min(255, (was & 0xff) * factor + 0.5) | 0;
      const green = Math.min(255, ((was >>> 8) & 0xff) * factor + 0.5) | 0;
      const blue = Math.min(255, ((was >>> 16) & 0xff) * factor + 0.5) | 0;
      data[at] = (alpha << 24) | (blue << 16) | (green << 8) | red;
    }
  }
}

function over(data: Uint32Array, at: number, colour: Colour, alpha: number): void {
  if (alpha <= 0) return;
  const was = data[at] as number;
  const inverse = 256 - alpha;
  data[at] =
    (((Math.imul(was & 0xff00ff, inverse) + Math.imul(colour.redBlue, alpha)) >>> 8) & 0xff00ff) |
    ((Math.imul((was >>> 8) & 0xff00ff, inverse) + Math.imul(colour.green, alpha)) & 0xff00ff00);
}
