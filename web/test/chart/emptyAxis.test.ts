import assert from "node:assert/strict";
import { test } from "node:test";

import { ticksOf } from "../../src/chart/ticks.ts";

test("an axis without places has no ticks", () => {
  for (const [from, to] of [[0, 1], [-1, 1], [1, 1], [2, 1], [Number.NaN, 1], [0, Number.POSITIVE_INFINITY]] as const) {
    assert.deepEqual(ticksOf({ from, to, log: true }, "number", () => true), []);
  }
  assert.ok(ticksOf({ from: Number.MIN_VALUE, to: Number.MAX_VALUE, log: true }, "number", (ticks) => ticks.length < 9).length > 0);
});
