/** Text of a terminal as a page shows it: colours as words, all other control sequences left out. Pure. */

export type Colour = "black" | "red" | "green" | "yellow" | "blue" | "magenta" | "cyan" | "white";

export interface Piece {
  readonly text: string;
  readonly colour: Colour | null;
  readonly isBold: boolean;
  readonly isDim: boolean;
}

const COLOURS: readonly Colour[] = ["black", "red", "green", "yellow", "blue", "magenta", "cyan", "white"];
/** CSI sequences, OSC sequences (titles, links), and other escapes. What is not closed goes to the end. */
const ESCAPE = /\u001b\[([0-9;:]{0,200})([ -/]*[@-~]|$)|\u001b\][^\u0007\u001b]*(?:\u0007|\u001b\\|$)|\u001b[ -/]{0,3}[0-~]?|\u009b[0-9;:]{0,200}[ -/]*[@-~]?/g;
const CONTROL = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/g;

/** Return a line as pieces of one look each. Of a line that was written over and over (`\r`) the last state counts. */
export function piecesOf(line: string): readonly Piece[] {
  const shown = overwritten(line);
  if (!/[\u001b\u009b]/.test(shown)) return shown === "" ? [] : [{ text: clean(shown), colour: null, isBold: false, isDim: false }];
  const pieces: Piece[] = [];
  let look: Omit<Piece, "text"> = { colour: null, isBold: false, isDim: false };
  let at = 0;
  const add = (text: string) => {
    if (clean(text) !== "") pieces.push({ text: clean(text), ...look });
  };
  for (const found of shown.matchAll(ESCAPE)) {
    add(shown.slice(at, found.index));
    at = found.index + found[0].length;
    if (found[2] === "m") look = after(look, found[1] ?? "");
  }
  add(shown.slice(at));
  return pieces;
}

/** The text alone. */
export function plainOf(line: string): string {
  return piecesOf(line)
    .map(({ text }) => text)
    .join("");
}

/** Progress bars write a line again from its beginning; what is shown is what was written last. */
function overwritten(line: string): string {
  if (!line.includes("\r")) return line;
  const states = line.split("\r").filter((state) => state !== "");
  return states.at(-1) ?? "";
}

function clean(text: string): string {
  return text.replace(CONTROL, "");
}

function after(look: Omit<Piece, "text">, codes: string): Omit<Piece, "text"> {
  const numbers = codes.split(/[;:]/).map((code) => (code === "" ? 0 : Number(code)));
  let now = look;
  for (let at = 0; at < numbers.length; at += 1) {
    const code = numbers[at] ?? 0;
    if (code === 0) now = { colour: null, isBold: false, isDim: false };
    else if (code === 1) now = { ...now, isBold: true };
    else if (code === 2) now = { ...now, isDim: true };
    else if (code === 22) now = { ...now, isBold: false, isDim: false };
    else if (code >= 30 && code <= 37) now = { ...now, colour: COLOURS[code - 30] ?? null };
    else if (code >= 90 && code <= 97) now = { ...now, colour: COLOURS[code - 90] ?? null };
    else if (code === 39) now = { ...now, colour: null };
    else if (code === 38 || code === 48) {
      const isIndexed = numbers[at + 1] === 5;
      if (code === 38 && isIndexed) now = { ...now, colour: indexed(numbers[at + 2] ?? 7) };
      if (code === 38 && !isIndexed) now = { ...now, colour: nearest(numbers.slice(at + 2, at + 5)) };
      at += isIndexed ? 2 : 4;
    }
  }
  return now;
}

/** The colour of the eight that one of 256 is nearest to: pages have their own, that can be read on their ground. */
function indexed(code: number): Colour | null {
  if (code < 16) return COLOURS[code % 8] ?? null;
  if (code >= 232) return null;
  const cube = code - 16;
  return nearest([Math.floor(cube / 36), Math.floor(cube / 6) % 6, cube % 6].map((level) => level * 51));
}

function nearest(rgb: readonly number[]): Colour | null {
  const [red = 0, green = 0, blue = 0] = rgb;
  const half = Math.max(red, green, blue) * 0.6;
  if (half === 0) return "black";
  return COLOURS[(red >= half ? 1 : 0) + (green >= half ? 2 : 0) + (blue >= half ? 4 : 0)] ?? null;
}
