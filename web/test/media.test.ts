import assert from "node:assert/strict";
import { test } from "node:test";

import type { Asset } from "../src/data/assets.ts";
import { csvOf } from "../src/data/csv.ts";
import { evenly, extentOf, histogramOf, spread } from "../src/data/histograms.ts";
import { at, kindOf, mediaOf, stepsOf } from "../src/data/media.ts";
import { FileAddresses } from "../src/data/tickets.ts";
import { Client } from "../src/data/client.ts";
import { patchOf, sizeOf } from "../src/ui/patch.ts";

let count = 0;
function asset(given: Partial<Asset>): Asset {
  count += 1;
  return {
    run: "r",
    asset: `a${count}`,
    name: "x",
    kind: "asset",
    sha256: "0",
    size_bytes: 1,
    content_type: "application/octet-stream",
    step: null,
    metadata: {},
    at: `2026-01-01T00:00:${String(count % 60).padStart(2, "0")}Z`,
    context: null,
    role: null,
    location: null,
    model: null,
    ...given,
  };
}

test("tells how a file is shown", () => {
  assert.equal(kindOf(asset({ content_type: "image/svg+xml" })), "image");
  assert.equal(kindOf(asset({ content_type: "TEXT/HTML; charset=utf-8" })), "page");
  assert.equal(kindOf(asset({ content_type: "text/csv" })), "table");
  assert.equal(kindOf(asset({ content_type: "application/json", kind: "histogram" })), "histogram");
  assert.equal(kindOf(asset({ content_type: "application/json" })), "text");
  assert.equal(kindOf(asset({ name: "model.bin" })), null);
  assert.equal(kindOf(asset({ content_type: "image/png", location: "s3://b/x.png" })), null);
});

test("groups files by name, and finds the step that is shown", () => {
  const image = { content_type: "image/png" };
  const media = mediaOf([
    asset({ ...image, name: "s", step: 20 }),
    asset({ ...image, name: "s", step: 5 }),
    asset({ ...image, name: "s", step: 5 }),
    asset({ ...image, name: "s" }),
    asset({ content_type: "text/plain", name: "s", step: 7 }),
    asset({ content_type: "text/x-diff", name: "git.diff" }),
    asset({ content_type: "text/plain", name: "main.py", role: "code" }),
  ]);
  assert.deepEqual(
    media.map(({ name, kind, steps, others }) => [name, kind, steps.map(({ step, assets }) => [step, assets.length]), others.length]),
    [
      ["s", "image", [[5, 2], [20, 1]], 1],
      ["s", "text", [[7, 1]], 0],
    ],
  );
  assert.deepEqual(stepsOf(media), [5, 7, 20]);
  const [first] = media;
  const steps = first?.steps ?? [];
  assert.equal(at(steps, null)?.step, 20);
  assert.equal(at(steps, 19)?.step, 5);
  assert.equal(at(steps, 20)?.step, 20);
  assert.equal(at(steps, 4), null);
});

test("reads CSV", () => {
  const read = (text: string, most = 100) => csvOf(text, ",", most);
  assert.deepEqual(read('a,b\r\n1,"x ""y"", z"\n\n3,'), { head: ["a", "b"], rows: [["1", 'x "y", z'], [""], ["3", ""]], isCut: false });
  assert.deepEqual(read('a\n"line\nbreak"\n"open'), { head: ["a"], rows: [["line\nbreak"], ["open"]], isCut: false });
  assert.deepEqual(read(""), { head: [], rows: [], isCut: false });
  assert.deepEqual(read("a\n1\n2\n3", 2), { head: ["a"], rows: [["1"], ["2"]], isCut: true });
  assert.deepEqual(read("a\n1\n2", 2).isCut, false);
  assert.equal(read(`${'"'.repeat(99_999)}`).head.length, 1);
  assert.equal(read(",".repeat(50_000)).head.length, 1001);
});

test("spreads histograms over common bins without losing any", () => {
  assert.equal(histogramOf('{"counts": [1], "edges": [0]}'), null);
  assert.equal(histogramOf('{"counts": ["<b>"], "edges": [0, 1]}'), null);
  assert.equal(histogramOf("no JSON"), null);
  const one = histogramOf('{"counts": [1, 0, 3], "edges": [0, 1, 2, 3]}');
  const two = histogramOf('{"counts": [5], "edges": [7, 7]}');
  assert.ok(one !== null && two !== null);
  const extent = extentOf([one, two]);
  assert.deepEqual(extent, [0, 7]);
  for (const bins of [1, 7, 13, 96]) {
    for (const histogram of [one, two]) {
      const shares = spread(histogram, [0, 7], bins);
      assert.ok(Math.abs(shares.reduce((a, b) => a + b, 0) - 1) < 1e-9);
    }
  }
  assert.deepEqual([...spread(one, [0, 7], 7)], [0.25, 0, 0.75, 0, 0, 0, 0]);
  assert.deepEqual(evenly([1, 2, 3, 4, 5], 3), [1, 3, 5]);
});

test("tells the lines of a patch apart", () => {
  const text = "diff --git a/x b/x\nindex 1..2\n--- a/x\n+++ b/x\n@@ -1,2 +1,2 @@\n same\n--- removed\n+++ added\n\\ No newline at end of file\ndiff --git a/y b/y\nBinary files differ\n";
  const lines = patchOf(text);
  assert.deepEqual(
    lines.map(({ kind }) => kind),
    ["file", "about", "about", "about", "hunk", "same", "removed", "added", "about", "file", "about"],
  );
  assert.deepEqual(sizeOf(lines), { added: 1, removed: 1 });
});

test("requests addresses of one moment together, and again when they are old", async () => {
  const bodies: { assets: unknown[] }[] = [];
  const send = (async (_: unknown, init?: RequestInit) => {
    const body = JSON.parse(String(init?.body)) as { assets: { asset: string }[] };
    bodies.push(body);
    const assets = body.assets.map((one) => (one.asset === "gone" ? null : { address: `/t/${one.asset}` }));
    return new Response(JSON.stringify({ assets, files: [], expires_at: "" }));
  }) as typeof fetch;
  let now = 0;
  const addresses = new FileAddresses(new Client(() => null, () => undefined, send), () => now);
  const ask = (name: string) => addresses.of({ run: "r", asset: name });
  assert.deepEqual(await Promise.all([ask("a"), ask("gone"), ask("a")]), ["/t/a", null, "/t/a"]);
  assert.equal(bodies.length, 1);
  assert.equal(bodies[0]?.assets.length, 2);
  now += 100_000;
  assert.equal(await ask("a"), "/t/a");
  assert.equal(bodies.length, 1);
  now += 200_000;
  assert.equal(await ask("a"), "/t/a");
  assert.equal(bodies.length, 2);
});
