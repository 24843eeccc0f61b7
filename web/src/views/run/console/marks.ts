import type { Search } from "../../../data/output.ts";
import type { Piece } from "../../../ui/ansi.ts";

/** Where in a line a search stands. Pure. */
export type Span = readonly [number, number];

const MOST_SPANS = 100;
/** In longer lines nothing is marked: a pattern of a person may take long on them. */
const MOST_CHARS = 2000;

/** Return where the search stands, in order. A pattern that only RE2 knows is not marked; the server finds it all the same. */
export function spansOf(text: string, { search, regex, ignoreCase }: Search): readonly Span[] {
  if (search === "" || text.length > MOST_CHARS || (regex && isSlow(search))) return [];
  const source = regex ? search : search.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
  const spans: Span[] = [];
  try {
    for (const found of text.matchAll(new RegExp(source, ignoreCase ? "giu" : "gu"))) {
      if (found[0] !== "") spans.push([found.index, found.index + found[0].length]);
      if (spans.length >= MOST_SPANS) break;
    }
  } catch {
    return [];
  }
  return spans;
}

/** Repeats inside of repeats take this browser's expressions exponential time, which RE2's never do. */
function isSlow(pattern: string): boolean {
  return /[+*}]\??\)[+*{]|\|[^)]*\)[+*{]/.test(pattern) || (pattern.match(/[+*{]/g) ?? []).length > 3;
}

/** Cut pieces where marks begin and end. */
export function cutAt(pieces: readonly Piece[], marks: readonly Span[]): readonly { readonly piece: Piece; readonly isMarked: boolean }[] {
  const cut: { piece: Piece; isMarked: boolean }[] = [];
  let before = 0;
  let mark = 0;
  for (const piece of pieces) {
    const end = before + piece.text.length;
    let at = before;
    while (at < end) {
      while ((marks[mark]?.[1] ?? Infinity) <= at) mark += 1;
      const [from, to] = marks[mark] ?? [Infinity, Infinity];
      const isMarked = from <= at;
      const next = Math.min(end, isMarked ? to : from);
      cut.push({ piece: { ...piece, text: piece.text.slice(at - before, next - before) }, isMarked });
      at = next;
    }
    before = end;
  }
  return cut;
}
