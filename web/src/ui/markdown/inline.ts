/** The parts of a line of Markdown. Pure; the time is linear in the length of the text. */

export type Inline =
  | { readonly kind: "text"; readonly text: string }
  | { readonly kind: "code"; readonly text: string }
  | { readonly kind: "break" }
  | { readonly kind: "strong" | "em" | "strike"; readonly children: readonly Inline[] }
  /** `to` is an address with http, https or mailto. */
  | { readonly kind: "link"; readonly to: string; readonly children: readonly Inline[] };

/** A run of `*`, `_` or `~`: what is left of it, and what begins and ends there. */
interface Mark {
  readonly char: string;
  left: number;
  readonly opens: boolean;
  readonly closes: boolean;
  /** Kinds that begin here, from the outermost on, and how many end here. */
  readonly begins: ("strong" | "em" | "strike")[];
  ends: number;
}

type Token = Inline | { readonly kind: "mark"; readonly mark: Mark } | { readonly kind: "bracket"; readonly isImage: boolean };

/** What stands inside of what, at most; beyond it marks are text. */
const MOST_LEVELS = 16;
const SPECIAL = /[\\`*_~[\]!<\n]|https?:\/\//y;
const PLAIN = /[^\\`*_~[\]!<\nh]+/y;
const DESTINATION = /\(\s{0,9}(?:<([^<>\n]{0,2000})>|([^\s()<>]{0,2000}(?:\([^\s()<>]{0,200}\)[^\s()<>]{0,2000})?))(?:\s{1,9}(?:"[^"]{0,500}"|'[^']{0,500}'))?\s{0,9}\)/y;
const BARE = /https?:\/\/[^\s<>"'`*|[\]]{1,2000}/y;
const POINTED = /<((?:https?:\/\/|mailto:)[^\s<>]{1,2000})>/y;
const ESCAPED = /[!-/:-@[-`{-~]/;

/** Return the address if following it is harmless; null if it is not: `javascript:`, `data:` and the like. */
export function safeAddress(text: string): string | null {
  try {
    const url = new URL(text, "http://page/");
    return ["http:", "https:", "mailto:"].includes(url.protocol) ? text : null;
  } catch {
    return null;
  }
}

export function inlines(text: string): readonly Inline[] {
  return new Scanner(text).all();
}

class Scanner {
  private readonly tokens: Token[] = [];
  /** Where brackets are open in `tokens`. */
  private readonly brackets: number[] = [];
  /** Lengths of backtick runs that nothing closes behind some place. */
  private readonly unclosed = new Map<number, number>();
  private at = 0;

  constructor(private readonly text: string) {}

  all(): readonly Inline[] {
    while (this.at < this.text.length) this.step();
    return nested(this.tokens);
  }

  private step(): void {
    const plain = this.match(PLAIN);
    if (plain !== null) {
      this.add(plain[0]);
      return;
    }
    SPECIAL.lastIndex = this.at;
    const char = this.text.charAt(this.at);
    if (!SPECIAL.test(this.text)) this.take(char);
    else if (char === "\\") this.escape();
    else if (char === "`") this.code();
    else if (char === "\n") this.push({ kind: "break" }, 1);
    else if (char === "*" || char === "_" || char === "~") this.mark(char);
    else if (char === "[" || (char === "!" && this.text.charAt(this.at + 1) === "[")) this.open(char === "!");
    else if (char === "]") this.close();
    else if (char === "<") this.pointed();
    else if (char === "h") this.bare();
    else this.take(char);
  }

  private match(pattern: RegExp): RegExpExecArray | null {
    pattern.lastIndex = this.at;
    const found = pattern.exec(this.text);
    if (found !== null) this.at += found[0].length;
    return found;
  }

  private add(text: string): void {
    this.tokens.push({ kind: "text", text });
  }

  private take(text: string): void {
    this.push({ kind: "text", text }, text.length);
  }

  private push(token: Token, length: number): void {
    this.tokens.push(token);
    this.at += length;
  }

  private escape(): void {
    const next = this.text.charAt(this.at + 1);
    if (next === "\n") this.push({ kind: "break" }, 2);
    else if (ESCAPED.test(next)) this.push({ kind: "text", text: next }, 2);
    else this.take("\\");
  }

  private code(): void {
    const from = this.at;
    const length = runAt(this.text, from, "`");
    const end = (this.unclosed.get(length) ?? Infinity) <= from ? -1 : this.closing(from + length, length);
    if (end < 0) {
      this.unclosed.set(length, Math.min(from, this.unclosed.get(length) ?? Infinity));
      this.take("`".repeat(length));
      return;
    }
    const inner = this.text.slice(from + length, end).replace(/\n/g, " ");
    const isPadded = inner.length > 2 && inner.startsWith(" ") && inner.endsWith(" ");
    this.push({ kind: "code", text: isPadded ? inner.slice(1, -1) : inner }, end + length - from);
  }

  /** Where the next run of exactly so many backticks begins; -1: nowhere. */
  private closing(from: number, length: number): number {
    for (let at = this.text.indexOf("`", from); at >= 0; ) {
      const found = runAt(this.text, at, "`");
      if (found === length) return at;
      at = this.text.indexOf("`", at + found);
    }
    return -1;
  }

  private mark(char: string): void {
    const length = runAt(this.text, this.at, char);
    const before = this.text.charAt(this.at - 1);
    const after = this.text.charAt(this.at + length);
    const [left, right] = [isSpace(before), isSpace(after)];
    // An underscore inside of a word is part of it, as in names of metrics.
    const isInside = char === "_" && /[\p{L}\p{N}]/u.test(before) && /[\p{L}\p{N}]/u.test(after);
    const isTilde = char === "~" && length !== 2;
    const opens = !right && !isInside && !isTilde;
    const closes = !left && !isInside && !isTilde;
    this.push({ kind: "mark", mark: { char, left: length, opens, closes, begins: [], ends: 0 } }, length);
  }

  private open(isImage: boolean): void {
    this.brackets.push(this.tokens.length);
    this.push({ kind: "bracket", isImage }, isImage ? 2 : 1);
  }

  private close(): void {
    const from = this.brackets.pop();
    this.at += 1;
    if (from === undefined) return this.add("]");
    const found = this.match(DESTINATION);
    const to = safeAddress((found?.[1] ?? found?.[2] ?? "").replace(/\\([!-/:-@[-`{-~])/g, "$1"));
    if (found === null) return this.add("]");
    const inside = this.tokens.splice(from).slice(1);
    const children = nested(inside.map((one) => (one.kind === "link" ? textToken(textOf([one])) : one)));
    if (to === null || to === "") this.tokens.push(...children);
    else this.tokens.push({ kind: "link", to, children });
    // A link in a link is none: what is open around this one stays text.
    this.brackets.length = 0;
  }

  private pointed(): void {
    const found = this.match(POINTED);
    if (found?.[1] === undefined) this.take("<");
    else this.link(found[1], found[1]);
  }

  private bare(): void {
    const found = this.match(BARE);
    if (found === null) return this.take("h");
    const shown = found[0].replace(/[.,;:!?)]+$/, "");
    this.at -= found[0].length - shown.length;
    this.link(shown, shown);
  }

  private link(to: string, shown: string): void {
    const safe = safeAddress(to);
    if (safe === null) this.add(shown);
    else this.tokens.push({ kind: "link", to: safe, children: [{ kind: "text", text: shown }] });
  }
}

function runAt(text: string, from: number, char: string): number {
  let at = from;
  while (text.charAt(at) === char) at += 1;
  return at - from;
}

function isSpace(char: string): boolean {
  return char === "" || /\s/.test(char);
}

function textToken(text: string): Token {
  return { kind: "text", text };
}

/** The text of inlines without their marks. */
export function textOf(parts: readonly Inline[]): string {
  return parts
    .map((one) => (one.kind === "break" ? " " : one.kind === "text" || one.kind === "code" ? one.text : textOf(one.children)))
    .join("");
}

/** Find which marks belong together, and put what is between them into each other. */
function nested(tokens: readonly Token[]): readonly Inline[] {
  pair(tokens);
  interface Frame {
    readonly kind: "strong" | "em" | "strike" | null;
    readonly children: Inline[];
  }
  const frames: Frame[] = [{ kind: null, children: [] }];
  const add = (one: Inline) => {
    const children = frames.at(-1)?.children;
    const last = children?.at(-1);
    if (one.kind === "text" && last?.kind === "text") children?.splice(-1, 1, { kind: "text", text: last.text + one.text });
    else children?.push(one);
  };
  const close = () => {
    const frame = frames.pop();
    if (frame?.kind) add({ kind: frame.kind, children: frame.children });
  };
  let hidden = 0;
  for (const token of tokens) {
    if (token.kind === "bracket") add({ kind: "text", text: token.isImage ? "![" : "[" });
    else if (token.kind !== "mark") add(token);
    else {
      for (let ended = 0; ended < token.mark.ends; ended += 1) {
        if (hidden > 0) hidden -= 1;
        else close();
      }
      if (token.mark.left > 0) add({ kind: "text", text: token.mark.char.repeat(token.mark.left) });
      for (const kind of token.mark.begins) {
        if (frames.length > MOST_LEVELS) hidden += 1;
        else frames.push({ kind, children: [] });
      }
    }
  }
  while (frames.length > 1) close();
  return frames[0]?.children ?? [];
}

function pair(tokens: readonly Token[]): void {
  const open: { readonly at: number; readonly mark: Mark }[] = [];
  /** For each character the places in `open`. */
  const byChar: Record<string, number[]> = { "*": [], _: [], "~": [] };
  tokens.forEach((token, at) => {
    if (token.kind !== "mark") return;
    const { mark } = token;
    const own = byChar[mark.char] ?? [];
    while (mark.closes && mark.left > 0) {
      const place = own.at(-1);
      const opener = place === undefined ? undefined : open[place];
      if (place === undefined || opener === undefined) break;
      const size = mark.char === "~" ? 2 : Math.min(2, mark.left, opener.mark.left);
      opener.mark.left -= size;
      mark.left -= size;
      opener.mark.begins.unshift(mark.char === "~" ? "strike" : size === 2 ? "strong" : "em");
      mark.ends += 1;
      // What opened between the two would cross them: it is text.
      open.length = opener.mark.left > 0 ? place + 1 : place;
      for (const places of Object.values(byChar)) {
        while ((places.at(-1) ?? -1) >= open.length) places.pop();
      }
    }
    if (mark.opens && mark.left > 0) {
      own.push(open.length);
      open.push({ at, mark });
    }
  });
}
