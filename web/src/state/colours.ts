/**
 * The colour of a run: the same in every view, at every time and for every person, because it is made of the run's id.
 *
 * Hues are spread by the golden angle over a hash. Lightness and chroma are the same for all in light and in dark, so
 * that each has a contrast of 3:1 to its ground.
 */
export function colourOf(run: string, dark: boolean): string {
  const hash = hashOf(run);
  const hue = (hash % 4096) * GOLDEN_ANGLE;
  const step = (hash >>> 12) % 3;
  const lightness = dark ? [0.72, 0.8, 0.66][step] : [0.5, 0.42, 0.56][step];
  const chroma = dark ? 0.14 : 0.16;
  return rgbOf(lightness ?? 0.5, chroma, (hue % 360) * (Math.PI / 180));
}

const GOLDEN_ANGLE = 137.50776405003785;

/** FNV-1a over the characters, then mixed, so that ids that differ in one character differ much. */
function hashOf(text: string): number {
  let hash = 0x811c9dc5;
  for (let at = 0; at < text.length; at += 1) {
    hash = Math.imul(hash ^ text.charCodeAt(at), 0x01000193);
  }
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}

/** From OKLCH to sRGB as #rrggbb; chroma is lowered where sRGB has no such colour. */
function rgbOf(lightness: number, chroma: number, hue: number): string {
  for (let size = chroma; ; size *= 0.9) {
    const channels = channelsOf(lightness, size * Math.cos(hue), size * Math.sin(hue));
    if (channels.every((one) => one >= -0.001 && one <= 1.001) || size < 0.01) {
      return `#${channels.map(hexOf).join("")}`;
    }
  }
}

/** Björn Ottosson's OKLab, as linear sRGB. */
function channelsOf(lightness: number, a: number, b: number): [number, number, number] {
  const l = (lightness + 0.3963377774 * a + 0.2158037573 * b) ** 3;
  const m = (lightness - 0.1055613458 * a - 0.0638541728 * b) ** 3;
  const s = (lightness - 0.0894841775 * a - 1.291485548 * b) ** 3;
  return [
    4.0767416621 * l - 3.3077115913 * m + 0.2309699292 * s,
    -1.2684380046 * l + 2.6097574011 * m - 0.3413193965 * s,
    -0.0041960863 * l - 0.7034186147 * m + 1.707614701 * s,
  ];
}

function hexOf(linear: number): string {
  const value = Math.min(1, Math.max(0, linear));
  const shown = value <= 0.0031308 ? 12.92 * value : 1.055 * value ** (1 / 2.4) - 0.055;
  return Math.round(shown * 255)
    .toString(16)
    .padStart(2, "0");
}
