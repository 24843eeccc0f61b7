import assert from "node:assert/strict";
import { test } from "node:test";

import { axisOf, marksOf, numberAt, placeOn, testOf } from "../src/views/sweep/axes.ts";

test("numbers that span decades lie on a logarithmic axis", () => {
  const axis = axisOf("param.lr", [1e-4, 1e-2, 1, null, undefined]);
  assert.ok(axis);
  assert.equal(axis.kind, "log");
  assert.equal(axis.missing, 2);
  assert.ok(Math.abs((placeOn(axis, 1e-2) ?? 0) - 0.5) < 1e-12);
  assert.equal(placeOn(axis, "NaN"), null);
  assert.equal(axisOf("param.x", [0, 1, 1000])?.kind, "linear");
  assert.equal(axisOf("param.x", ["NaN"]), null);
  assert.equal(axisOf("param.x", []), null);
});

test("words have places of their own", () => {
  const axis = axisOf("param.opt", ["sgd", "adam", 3, true]);
  assert.ok(axis);
  assert.deepEqual(axis.words, ["3", "adam", "sgd", "true"]);
  assert.equal(placeOn(axis, "adam"), 1 / 3);
  assert.equal(testOf(axis, 0.2, 0.7), 'param.opt in ("adam", "sgd")');
  assert.equal(testOf(axis, 0, 0.1), "param.opt in (3)");
  assert.equal(testOf(axis, 0.9, 1), "param.opt in (true)");
  assert.equal(testOf(axis, 0.4, 0.5), null);
  assert.equal(marksOf(axis, 2).length, 2);
  assert.equal(axisOf("param.id", Array.from({ length: 41 }, (_, at) => `w${at}`)), null);
});

test("a brush keeps every value that it covers", () => {
  for (const values of [[1e-4, 1], [0, 12345], [-3, 3], [-1e-9, 1e12], [5e-324, 1.7e308], [0.1, 0.3]]) {
    const axis = axisOf("param.x", values);
    assert.ok(axis);
    for (const [from, to] of [[0, 1], [0.9, 0.1], [0.25, 0.5]] as const) {
      const found = /between (\S+) and (\S+)/.exec(testOf(axis, from, to) ?? "");
      const [low, high] = [Number(found?.[1]), Number(found?.[2])];
      assert.ok(low <= numberAt(axis, Math.min(from, to)), `${low} ${from}`);
      assert.ok(high >= numberAt(axis, Math.max(from, to)), `${high} ${to}`);
    }
  }
});
