import assert from "node:assert/strict";
import { test } from "node:test";

import { LineStore, type OutputLine, type OutputLines } from "../src/data/output.ts";
import { piecesOf, plainOf } from "../src/ui/ansi.ts";
import { MOST_PIXELS, scaleOf, scrollOf, topOf, within } from "../src/ui/scaled.ts";
import { cutAt, spansOf } from "../src/views/run/console/marks.ts";

const looks = (line: string) => piecesOf(line).map(({ text, colour, isBold }) => [text, colour, isBold]);

test("shows the colours of a terminal", () => {
  assert.deepEqual(looks("\u001b[1;31mbad\u001b[0m ok"), [["bad", "red", true], [" ok", null, false]]);
  assert.deepEqual(looks("\u001b[92mgood\u001b[39m \u001b[38;5;9mx\u001b[38;2;10;10;200my\u001b[48;5;1mz"), [
    ["good", "green", false],
    [" ", null, false],
    ["x", "red", false],
    ["y", "blue", false],
    ["z", "blue", false],
  ]);
});

test("leaves out what is no text", () => {
  assert.equal(plainOf("a\u001b[2K\u001b[1;5Hb\u001b]0;title\u0007c\u001b]8;;https://x\u001b\\d\u001b(Be\u0000\u0008\tf"), "abcde\tf");
  assert.equal(plainOf("\u001b]never closed"), "");
  assert.equal(plainOf("\u001b[31"), "");
  assert.equal(plainOf("plain <b>text</b>"), "plain <b>text</b>");
});

test("shows the last state of a line that was written over", () => {
  assert.equal(plainOf("1%\r50%\r100%"), "100%");
  assert.equal(plainOf("done\r"), "done");
  assert.equal(plainOf("\r\r"), "");
});

test("scrolls ten million lines to each of them", () => {
  const scale = scaleOf(10_000_000, 18, 600);
  assert.ok(scale.height <= MOST_PIXELS);
  assert.equal(topOf(scale, 0), 0);
  assert.ok(Math.abs(topOf(scale, scale.height - 600) - (scale.whole - 600)) < 1e-3);
  for (const line of [0, 1, 4_999_999, 9_999_000]) {
    assert.ok(Math.abs(topOf(scale, scrollOf(scale, line * 18)) - line * 18) < 1e-3);
  }
  assert.equal(within(scale, 1e12, 600), scale.whole - 600);
  assert.equal(within(scale, -5, 600), 0);
  assert.equal(scaleOf(3, 18, 600).factor, 1);
  assert.equal(within(scaleOf(3, 18, 600), 10, 600), 0);
});

test("marks what was searched, through pieces of any look", () => {
  const search = (text: string, search: string, regex = false) => spansOf(text, { search, regex, ignoreCase: true });
  assert.deepEqual(search("a.B a.b ab", "a.b"), [[0, 3], [4, 7]]);
  assert.deepEqual(search("step 10 step 2", "step \\d+", true), [[0, 7], [8, 14]]);
  assert.deepEqual(search("x", "(?P<n>x", true), []);
  assert.deepEqual(search("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!", "(a+)+$", true), []);
  const pieces = piecesOf("ab\u001b[31mcd\u001b[0mef");
  const shown = cutAt(pieces, [[1, 3], [5, 6]]).map(({ piece, isMarked }) => `${piece.text}${isMarked ? "!" : ""}`);
  assert.deepEqual(shown, ["a", "b!", "c!", "d", "e", "f!"]);
  assert.deepEqual(cutAt(pieces, []).map(({ piece }) => piece.text), ["ab", "cd", "ef"]);
});

/** A server with lines that gives at most `most` of them in a response. */
function server(all: string[], most = 500) {
  const requests: [number, number][] = [];
  const load = (from: number, limit: number): Promise<OutputLines> => {
    requests.push([from, limit]);
    const first = from < 0 ? Math.max(0, all.length + from) : from - 1;
    const lines = all.slice(first, first + Math.min(limit, most)).map(
      (text, at): OutputLine => ({ number: first + at + 1, text, at: "", writer: "w", stream: "stdout" }),
    );
    return Promise.resolve({ lines, total: all.length, next_line: first + lines.length + 1 });
  };
  return { load, requests };
}

const texts = (count: number, from = 1) => Array.from({ length: count }, (_, at) => `line ${at + from}`);

test("reads what is looked at, and follows the end", async () => {
  const all = texts(100_000);
  const { load, requests } = server(all, 200);
  const store = new LineStore(load);
  await store.grow();
  assert.equal(store.total.value, 100_000);
  await store.need(40_000, 40_050);
  assert.equal(store.line(40_049)?.text, "line 40049");
  assert.equal(store.line(1), undefined);
  const before = requests.length;
  await store.need(40_000, 40_020);
  assert.equal(requests.length, before);
  all[99_999] = "line 100000 goes on";
  all.push("line 100001");
  await store.need(99_990, 100_010);
  await store.grow();
  assert.equal(store.line(100_000)?.text, "line 100000 goes on");
  assert.equal(store.line(100_001)?.text, "line 100001");
  assert.equal(store.total.value, 100_001);
});

test("keeps a bounded number of lines, and reads others again", async () => {
  const { load, requests } = server(texts(200_000));
  const store = new LineStore(load);
  await store.grow();
  for (let line = 1; line < 200_000; line += 500) await store.need(line, line + 40);
  assert.equal(store.line(1), undefined);
  const before = requests.length;
  await store.need(1, 40);
  assert.equal(requests.length, before + 1);
  assert.equal(store.line(39)?.text, "line 39");
});

test("forgets numbers that lines of several writers lose", async () => {
  const all = texts(10);
  const { load } = server(all);
  const store = new LineStore(load, false);
  await store.grow();
  await store.need(1, 11);
  all.splice(3, 0, "between");
  await store.grow();
  assert.equal(store.line(4)?.text, "between");
  assert.equal(store.line(5)?.text, "line 4");
});

test("asks no server for ever that gives nothing", async () => {
  let asked = 0;
  const store = new LineStore(() => {
    asked += 1;
    return Promise.resolve({ lines: [], total: 5, next_line: 1 });
  });
  await store.grow();
  await store.need(1, 6);
  assert.ok(asked < 5);
});
