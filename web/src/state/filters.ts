/** What a person is about to type in a filter, so that the page can offer what fits there. Pure. */

export type Expected =
  | { readonly what: "field"; readonly prefix: string; readonly from: number }
  | { readonly what: "operator"; readonly prefix: string; readonly from: number; readonly field: string }
  | { readonly what: "value"; readonly prefix: string; readonly from: number; readonly field: string }
  | { readonly what: "joint"; readonly prefix: string; readonly from: number };

interface Token {
  readonly kind: "word" | "text" | "sign" | "open" | "close" | "comma";
  readonly text: string;
  readonly from: number;
}

// A word may have quoted parts (metric."top 1".max). A quote that nothing closes goes to the end.
const TOKEN =
  /((?:[\p{L}\p{N}_./:+*?-]|(?<=\.)"(?:[^"\\]|\\.)*(?:"|$))+)|("(?:[^"\\]|\\.)*(?:"|$)|'(?:[^'\\]|\\.)*(?:'|$))|([<>=!]+)|(\()|(\))|(,)/gu;
const KINDS = ["word", "text", "sign", "open", "close", "comma"] as const;

function tokensOf(text: string): readonly Token[] {
  const tokens: Token[] = [];
  for (const found of text.matchAll(TOKEN)) {
    const at = found.slice(1).findIndex((group) => group !== undefined);
    const kind = KINDS[at];
    if (kind !== undefined) tokens.push({ kind, text: found[0], from: found.index });
  }
  return tokens;
}

const JOINTS = new Set(["and", "or"]);
const OPERATORS = new Set(["contains", "startswith", "endswith", "matches", "in", "between", "is"]);

/** Return what fits at the end of `before`, which is the filter up to the caret. */
export function expectedAt(before: string): Expected {
  const tokens = tokensOf(before);
  const last = tokens.at(-1);
  // A token that the caret touches is still being typed.
  const touched = last !== undefined && last.from + last.text.length === before.length && isTyped(last) ? last : null;
  const done = touched === null ? tokens : tokens.slice(0, -1);
  const from = touched?.from ?? before.length;
  return fitting(done, touched?.text ?? "", from);
}

function isTyped(token: Token): boolean {
  return token.kind === "word" || token.kind === "sign" || (token.kind === "text" && !isClosed(token.text));
}

function isClosed(text: string): boolean {
  return text.length > 1 && text.endsWith(text.charAt(0));
}

function fitting(done: readonly Token[], prefix: string, from: number): Expected {
  let field = "";
  let state: "field" | "operator" | "value" | "list" | "joint" = "field";
  for (const token of done) {
    const word = token.kind === "word" ? token.text.toLowerCase() : "";
    if (state === "field") {
      if (token.kind === "open" || word === "not") continue;
      field = token.text;
      state = "operator";
    } else if (state === "operator") {
      if (JOINTS.has(word)) state = "field";
      else if (word === "not") continue;
      else if (token.kind === "close") state = "joint";
      else if (token.kind === "sign" || OPERATORS.has(word)) state = "value";
    } else if (state === "value") {
      if (token.kind === "open") state = "list";
      else if (word !== "not") state = "joint";
    } else if (state === "list") {
      if (token.kind === "close") state = "joint";
    } else if (JOINTS.has(word)) state = "field";
  }
  if (state === "list") return { what: "value", prefix, from, field };
  if (state === "joint") return { what: "joint", prefix, from };
  if (state === "field") return { what: "field", prefix, from };
  return { what: state, prefix, from, field };
}

/** Write a text as a value of a filter. */
export function quoted(text: string): string {
  return `"${text.replace(/\\/g, "\\\\").replace(/"/g, '\\"').replace(/\n/g, "\\n").replace(/\t/g, "\\t")}"`;
}

/** Write the field of a metric or of a logged value: `param.lr`, `metric."top 1".max`. */
export function fieldOf(kind: string, name: string, aggregate = ""): string {
  const isPlain = /^[\p{L}\p{N}_/.-]+$/u.test(name) && !/(^\.|\.\.|\.$)/.test(name);
  const isAmbiguous = kind === "metric" && AGGREGATES.some((one) => name.endsWith(`.${one}`));
  const written = isPlain && !isAmbiguous ? name : quoted(name);
  return `${kind}.${written}${aggregate === "" ? "" : `.${aggregate}`}`;
}

export const AGGREGATES = ["last", "min", "max", "first", "mean", "std", "sum", "count"] as const;

/** What a field is made of: the kind, the name as it was logged, and of a metric the summary ("" for none). */
export interface FieldParts {
  readonly kind: string;
  readonly name: string;
  readonly aggregate: string;
}

/** Read a field of a metric or of a logged value: what `fieldOf` wrote, or a person; null for what is none. */
export function partsOfField(field: string): FieldParts | null {
  const [, kind = "", rest = ""] = /^(metric|param|other|env)\.(.*)$/su.exec(field) ?? [];
  if (kind === "") return null;
  const aggregate = kind === "metric" ? (AGGREGATES.find((one) => rest.endsWith(`.${one}`)) ?? "") : "";
  const written = aggregate === "" ? rest : rest.slice(0, -aggregate.length - 1);
  return { kind, name: unquoted(written), aggregate };
}

const ESCAPES: Readonly<Record<string, string>> = { n: "\n", t: "\t", '"': '"', "'": "'", "\\": "\\" };

/** The text of a quoted value, by the rules of the filter language: backslashes that mean nothing stay. */
function unquoted(written: string): string {
  if (!/^".*"$/su.test(written) || written.length < 2) return written;
  return written.slice(1, -1).replace(/\\(?:u([0-9a-fA-F]{4})|([\s\S]))/g, (whole, code: string | undefined, sign: string) =>
    code === undefined ? (ESCAPES[sign] ?? whole) : String.fromCharCode(Number.parseInt(code, 16)),
  );
}

/** Join two filters so that both have to hold. */
export function both(first: string, second: string): string {
  if (first.trim() === "") return second;
  if (second.trim() === "") return first;
  return `(${first}) and ${second}`;
}
