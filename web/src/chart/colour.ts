/** Colours of CSS as numbers. */
const known = new Map<string, number>();
let context: CanvasRenderingContext2D | null | undefined;

/** A colour of CSS as 0xRRGGBB; grey if it is none. */
export function rgbOf(colour: string): number {
  const found = known.get(colour);
  if (found !== undefined) return found;
  const rgb = hexOf(colour) ?? hexOf(asBrowser(colour)) ?? 0x888888;
  if (known.size > 10_000) known.clear();
  known.set(colour, rgb);
  return rgb;
}

function hexOf(text: string): number | null {
  if (/^#[0-9a-f]{6}$/i.test(text)) return Number.parseInt(text.slice(1), 16);
  if (/^#[0-9a-f]{3}$/i.test(text)) return Number.parseInt([...text.slice(1)].map((one) => one + one).join(""), 16);
  const numbers = /^rgba?\((\d+), (\d+), (\d+)/.exec(text);
  return numbers && (Number(numbers[1]) << 16) | (Number(numbers[2]) << 8) | Number(numbers[3]);
}

function asBrowser(colour: string): string {
  if (typeof document === "undefined") return "";
  if (context === undefined) context = document.createElement("canvas").getContext("2d");
  if (!context) return "";
  context.fillStyle = "#888888";
  context.fillStyle = colour;
  return context.fillStyle;
}
