import assert from "node:assert/strict";
import { test } from "node:test";

import { type Block, blocksOf } from "../src/ui/markdown/blocks.ts";
import { type Inline, inlines, safeAddress, textOf } from "../src/ui/markdown/inline.ts";

/** Inlines in a form that is short to write: kinds as angle brackets. */
function short(parts: readonly Inline[]): string {
  return parts
    .map((one) => {
      if (one.kind === "text") return one.text;
      if (one.kind === "break") return "<br>";
      if (one.kind === "code") return `<code:${one.text}>`;
      if (one.kind === "link") return `<link:${one.to}:${short(one.children)}>`;
      return `<${one.kind}:${short(one.children)}>`;
    })
    .join("");
}

const INLINES: readonly (readonly [string, string])[] = [
  ["plain text", "plain text"],
  ["a *b* **c** ***d***", "a <em:b> <strong:c> <em:<strong:d>>"],
  ["_a_ __b__ ~~c~~ ~d~", "<em:a> <strong:b> <strike:c> ~d~"],
  ["**a *b* c**", "<strong:a <em:b> c>"],
  ["*a **b* c**", "<em:a <em:<em:b> c>>"],
  ["train_loss_last and 2 * 3 * 4", "train_loss_last and 2 * 3 * 4"],
  ["`a *b*` ``c ` d`` `open", "<code:a *b*> <code:c ` d> `open"],
  ["[a *b*](https://x.org/c(d)) [e](</f g>)", "<link:https://x.org/c(d):a <em:b>> <link:/f g:e>"],
  ["![alt](https://x.org/a.png) [no] [x]( )", "<link:https://x.org/a.png:alt> [no] x"],
  ["see https://x.org/a, or <https://y.org>.", "see <link:https://x.org/a:https://x.org/a>, or <link:https://y.org:https://y.org>."],
  ["\\*a\\* \\[b\\](c) h", "*a* [b](c) h"],
  ["a  \nb", "a  <br>b"],
  ["[a [b](https://x) c](https://y)", "[a <link:https://x:b> c](<link:https://y:https://y>)"],
];

for (const [text, expected] of INLINES) {
  test(`reads ${JSON.stringify(text)}`, () => assert.equal(short(inlines(text)), expected));
}

test("leads nowhere but to http, https and mailto", () => {
  const hostile = [
    "javascript:alert(1)",
    "JaVaScRiPt:alert(1)",
    "java\tscript:alert(1)",
    " javascript:alert(1)",
    "\u0001javascript:alert(1)",
    "data:text/html,<script>alert(1)</script>",
    "vbscript:x",
    "file:///etc/passwd",
    "blob:https://x/y",
    "http://[",
  ];
  for (const address of hostile) {
    assert.equal(safeAddress(address), null, address);
    for (const text of [`[a](${address})`, `[a](<${address}>)`, `<${address}>`, `![a](${address})`]) {
      for (const link of inlines(text)) {
        if (link.kind === "link") assert.match(link.to, /^https?:/, text);
      }
    }
  }
  for (const address of ["https://x.org", "mailto:a@b.c", "/default/digits", "#part"]) {
    assert.equal(safeAddress(address), address);
  }
});

test("takes HTML for text", () => {
  const text = "<img src=x onerror=alert(1)><script>alert(1)</script>";
  assert.equal(textOf(inlines(text)), text);
  assert.deepEqual(
    blocksOf(text).map((one) => one.kind),
    ["paragraph"],
  );
});

test("loses no text, whatever it is", () => {
  let seed = 7;
  const next = (below: number) => {
    seed = (Math.imul(seed, 1103515245) + 12345) >>> 0;
    return (seed >>> 8) % below;
  };
  const pieces = ["*", "**", "_", "~~", "`", "a", " ", "b c", "(", "x", "1"];
  for (let round = 0; round < 3000; round += 1) {
    const text = Array.from({ length: next(14) }, () => pieces[next(pieces.length)]).join("");
    const letters = (given: string) => given.replace(/[^a-z0-9(]/g, "");
    assert.equal(letters(textOf(inlines(text))), letters(text), JSON.stringify(text));
  }
});

function kinds(text: string): string {
  const kind = (one: Block): string => {
    if (one.kind === "quote") return `quote(${one.blocks.map(kind).join(" ")})`;
    if (one.kind === "list") return `list(${one.items.map(({ blocks }) => blocks.map(kind).join(" ")).join(", ")})`;
    return one.kind === "heading" ? `h${one.level}` : one.kind;
  };
  return blocksOf(text).map(kind).join(" ");
}

test("reads blocks", () => {
  assert.equal(kinds("# a\n\nb\nc\n\n---\n\n```py\n# no\n```\n> q\n> # r"), "h1 paragraph rule code quote(paragraph h1)");
  assert.equal(kinds("- a\n- b\n  - c\n    d\n- [x] e"), "list(paragraph, paragraph list(paragraph), paragraph)");
  assert.equal(kinds("2. a\n3. b\n\ntext"), "list(paragraph, paragraph) paragraph");
  assert.equal(kinds("text\n- a"), "paragraph list(paragraph)");
  assert.equal(kinds("| a | b |\n|---|--:|\n| 1 | 2 |\ntext"), "table paragraph");
  assert.equal(kinds("a | b\nno divider"), "paragraph");
  assert.equal(kinds("```\nnever closed"), "code");
  assert.equal(kinds("    code\n\n    more\ntext"), "code paragraph");
  const [list] = blocksOf("3) a\n4) b");
  assert.equal(list?.kind === "list" ? list.start : null, 3);
});

test("reads hostile texts in bounded depth, and ends", () => {
  const parts = ["*a ", "**", "_", "*a_ ", "[", "![", "[a](", "](", "`", "`` ` ", "~~a ", "> ", "- ", "<", "http://", "h", "\\", "|", "|a\n|-\n", "1. ", "   - a\n", "#", "```\n", "  ", "*a **b _c "];
  for (const part of parts) {
    const text = part.repeat(Math.floor(60_000 / part.length));
    const blocks = blocksOf(text);
    assert.ok(depthOf(blocks) < 120, part);
  }
});

function depthOf(value: unknown): number {
  if (typeof value !== "object" || value === null) return 0;
  return 1 + Math.max(0, ...Object.values(value).map(depthOf));
}
