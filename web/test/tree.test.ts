import assert from "node:assert/strict";
import { test } from "node:test";

import { jsonOf, matching, rowsOf, treeOf } from "../src/data/tree.ts";
import type { Logged } from "../src/data/types.ts";

const valued = (values: Readonly<Record<string, Logged>>) =>
  Object.entries(values).map(([name, value]) => ({ name, value, at: "2026-01-01T00:00:00Z" }));

test("makes a tree of names with dots", () => {
  const tree = treeOf(valued({ "opt.lr": 0.1, opt: "adam", "opt.betas.1": 2, "layers.10": 1, "layers.9": 2, "a..b": 3, ".c": 4 }));
  const rows = rowsOf(tree, () => false);
  assert.deepEqual(
    rows.map(({ path, depth, value, size }) => [path, depth, value ?? null, size]),
    [
      [".c", 0, 4, 1],
      ["a..b", 0, 3, 1],
      ["layers", 0, null, 2],
      ["layers.9", 1, 2, 1],
      ["layers.10", 1, 1, 1],
      ["opt", 0, "adam", 3],
      ["opt.betas", 1, null, 1],
      ["opt.betas.1", 2, 2, 1],
      ["opt.lr", 1, 0.1, 1],
    ],
  );
  assert.deepEqual(
    rowsOf(tree, (path) => path === "opt").map(({ path }) => path),
    [".c", "a..b", "layers", "layers.9", "layers.10", "opt"],
  );
});

test("keeps every value, also under hostile names", () => {
  const names = ["__proto__", "constructor.prototype", "toString", "x".repeat(500), ".".repeat(400), "a.".repeat(200) + "a", "<b>", "ä.ö"];
  const values = valued(Object.fromEntries(names.map((name, at) => [name, at])));
  values.push({ name: "__proto__", value: 99, at: "" });
  const rows = rowsOf(treeOf(values), () => false);
  const found = rows.filter((row) => row.value !== undefined);
  assert.equal(found.length, names.length);
  assert.ok(rows.every(({ depth }) => depth < 30));
});

test("finds names and texts, whatever the case", () => {
  const values = valued({ "opt.Name": "adam", lr: 0.001, path: "/data/MNIST", "n.a": null });
  const found = (text: string) => matching(values, text).map(({ name }) => name);
  assert.deepEqual(found("NAME"), ["opt.Name"]);
  assert.deepEqual(found("mnist "), ["path"]);
  assert.deepEqual(found("0.001"), ["lr"]);
  assert.equal(found("").length, 4);
  assert.equal(jsonOf(matching(values, "lr")), '{\n  "lr": 0.001\n}');
});
