import { type Inline, inlines } from "./inline.ts";

/** Markdown as blocks. Pure. HTML in it is text. */
export type Block =
  | { readonly kind: "heading"; readonly level: number; readonly parts: readonly Inline[] }
  | { readonly kind: "paragraph"; readonly parts: readonly Inline[] }
  | { readonly kind: "code"; readonly language: string; readonly text: string }
  | { readonly kind: "quote"; readonly blocks: readonly Block[] }
  | { readonly kind: "list"; readonly start: number | null; readonly items: readonly Item[] }
  | { readonly kind: "table"; readonly align: readonly Align[]; readonly rows: readonly (readonly (readonly Inline[])[])[] }
  | { readonly kind: "rule" };

export type Align = "left" | "center" | "right" | null;

export interface Item {
  /** Null: the item is no task. */
  readonly isDone: boolean | null;
  readonly blocks: readonly Block[];
}

/** Quotes and lists inside of each other, at most; what is deeper is a paragraph. */
const MOST_LEVELS = 8;
const MOST_COLUMNS = 50;
const FENCE = /^ {0,3}(`{3,}|~{3,})\s*([^`\s]{0,50})[^`]*$/;
const HEADING = /^ {0,3}(#{1,6})(?:[ \t]+(.*?))?(?:[ \t]+#+)?[ \t]*$/;
const RULE = /^ {0,3}(?:(?:-[ \t]*){3,}|(?:\*[ \t]*){3,}|(?:_[ \t]*){3,})$/;
const QUOTE = /^ {0,3}> ?/;
const ITEM = /^( {0,3})([-*+]|\d{1,9}[.)])( {1,4}|\t|$)/;
const TASK = /^\[([ xX])\] /;
const DIVIDER = /^ {0,3}\|?(?: *:?-+:? *\|)* *:?-+:? *\|? *$/;

export function blocksOf(text: string): readonly Block[] {
  return read(text.replace(/\r\n?/g, "\n").replace(/\t/g, "    ").split("\n"), 0);
}

function read(lines: readonly string[], level: number): readonly Block[] {
  const blocks: Block[] = [];
  let at = 0;
  while (at < lines.length) {
    const line = lines[at] ?? "";
    if (line.trim() === "") {
      at += 1;
      continue;
    }
    const [block, next] = blockAt(lines, at, level);
    blocks.push(block);
    at = Math.max(next, at + 1);
  }
  return blocks;
}

function blockAt(lines: readonly string[], at: number, level: number): readonly [Block, number] {
  const line = lines[at] ?? "";
  const fence = FENCE.exec(line);
  if (fence !== null) return fenced(lines, at, fence[1] ?? "```", fence[2] ?? "");
  const heading = HEADING.exec(line);
  if (heading !== null) {
    return [{ kind: "heading", level: (heading[1] ?? "#").length, parts: inlines(heading[2] ?? "") }, at + 1];
  }
  if (RULE.test(line)) return [{ kind: "rule" }, at + 1];
  if (QUOTE.test(line) && level < MOST_LEVELS) return quote(lines, at, level);
  if (ITEM.test(line) && level < MOST_LEVELS) return list(lines, at, level);
  if (isTable(lines, at)) return table(lines, at);
  if (/^ {4}/.test(line)) return indented(lines, at);
  return paragraph(lines, at, level);
}

function fenced(lines: readonly string[], at: number, fence: string, language: string): readonly [Block, number] {
  const inside: string[] = [];
  let next = at + 1;
  for (; next < lines.length; next += 1) {
    const line = (lines[next] ?? "").trim();
    if (line.length >= fence.length && line === fence.charAt(0).repeat(line.length)) break;
    inside.push(lines[next] ?? "");
  }
  return [{ kind: "code", language, text: inside.join("\n") }, next + 1];
}

function indented(lines: readonly string[], at: number): readonly [Block, number] {
  let next = at;
  while (next < lines.length && /^ {4}|^\s*$/.test(lines[next] ?? "")) next += 1;
  const text = lines.slice(at, next).map((line) => line.slice(4)).join("\n");
  return [{ kind: "code", language: "", text: text.trimEnd() }, next];
}

function quote(lines: readonly string[], at: number, level: number): readonly [Block, number] {
  let next = at;
  const inside: string[] = [];
  while (next < lines.length && QUOTE.test(lines[next] ?? "")) {
    inside.push((lines[next] ?? "").replace(QUOTE, ""));
    next += 1;
  }
  return [{ kind: "quote", blocks: read(inside, level + 1) }, next];
}

function list(lines: readonly string[], at: number, level: number): readonly [Block, number] {
  const first = ITEM.exec(lines[at] ?? "");
  const sign = (first?.[2] ?? "-").slice(-1);
  const items: Item[] = [];
  let next = at;
  for (;;) {
    const found = ITEM.exec(lines[next] ?? "");
    if (found === null || (found[2] ?? "").slice(-1) !== sign || RULE.test(lines[next] ?? "")) break;
    const width = found[0].length + (found[3] === "" ? 1 : 0);
    const inside = [(lines[next] ?? "").slice(found[0].length)];
    next += 1;
    while (next < lines.length && belongs(lines, next, width)) {
      inside.push((lines[next] ?? "").slice(Math.min(width, indent(lines[next] ?? ""))));
      next += 1;
    }
    items.push(item(inside, level));
    if ((lines[next] ?? "").trim() === "" && !ITEM.test(lines[next + 1] ?? "")) break;
    if ((lines[next] ?? "").trim() === "") next += 1;
  }
  const number = Number.parseInt(first?.[2] ?? "", 10);
  return [{ kind: "list", start: Number.isNaN(number) ? null : number, items }, next];
}

/** Whether a line goes on with an item: it is indented, or a paragraph that goes on without. */
function belongs(lines: readonly string[], at: number, width: number): boolean {
  const line = lines[at] ?? "";
  if (line.trim() === "") {
    const next = lines[at + 1] ?? "";
    return next.trim() !== "" && indent(next) >= width;
  }
  if (indent(line) >= width) return true;
  return (lines[at - 1] ?? "").trim() !== "" && !begins(line);
}

function item(lines: readonly string[], level: number): Item {
  const task = TASK.exec(lines[0] ?? "");
  const inside = task === null ? lines : [(lines[0] ?? "").slice(task[0].length), ...lines.slice(1)];
  return { isDone: task === null ? null : task[1] !== " ", blocks: read(inside, level + 1) };
}

function indent(line: string): number {
  return line.length - line.trimStart().length;
}

/** Whether a line begins a block, and so ends a paragraph. */
function begins(line: string): boolean {
  return [FENCE, HEADING, RULE, QUOTE, ITEM].some((pattern) => pattern.test(line));
}

function isTable(lines: readonly string[], at: number): boolean {
  const divider = lines[at + 1] ?? "";
  if (!(lines[at] ?? "").includes("|") || !divider.includes("-") || !DIVIDER.test(divider)) return false;
  return cells(lines[at] ?? "").length === cells(divider).length;
}

function table(lines: readonly string[], at: number): readonly [Block, number] {
  const align = cells(lines[at + 1] ?? "").map(alignOf);
  let next = at + 2;
  const rows = [cells(lines[at] ?? "")];
  while (next < lines.length && (lines[next] ?? "").includes("|")) {
    rows.push(cells(lines[next] ?? ""));
    next += 1;
  }
  const parts = rows.map((row) => align.map((_, column) => inlines(row[column] ?? "")));
  return [{ kind: "table", align, rows: parts }, next];
}

function cells(line: string): readonly string[] {
  const inner = line.trim().replace(/^\|/, "").replace(/(?<!\\)\|$/, "");
  return inner.split(/(?<!\\)\|/).slice(0, MOST_COLUMNS).map((cell) => cell.trim().replace(/\\\|/g, "|"));
}

function alignOf(cell: string): Align {
  const [left, right] = [cell.startsWith(":"), cell.endsWith(":")];
  return left && right ? "center" : right ? "right" : left ? "left" : null;
}

function paragraph(lines: readonly string[], at: number, level: number): readonly [Block, number] {
  let next = at + 1;
  while (next < lines.length) {
    const line = lines[next] ?? "";
    if (line.trim() === "" || (begins(line) && level < MOST_LEVELS)) break;
    next += 1;
  }
  const text = lines.slice(at, next).map((line) => line.trimStart()).join("\n").trimEnd();
  return [{ kind: "paragraph", parts: inlines(text) }, next];
}
