import assert from "node:assert/strict";
import { test } from "node:test";

import { columnsBetween, placesOf, rowsBetween } from "../src/ui/windows.ts";

test("draws the visible rows and some to spare", () => {
  assert.deepEqual(rowsBetween(0, 280, 28, 100_000, 8), [0, 18]);
  assert.deepEqual(rowsBetween(28_000, 280, 28, 100_000, 8), [992, 1018]);
  assert.deepEqual(rowsBetween(99_990 * 28, 280, 28, 100_000, 8), [99_982, 100_000]);
  assert.deepEqual(rowsBetween(5000, 280, 28, 3, 8), [3, 3]);
  assert.deepEqual(rowsBetween(0, 280, 28, 0, 8), [0, 0]);
});

test("draws pinned columns, and those in the window behind them", () => {
  const columns = Array.from({ length: 60 }, (_, at) => ({ width: 100, isPinned: at === 3 }));
  const places = placesOf(columns);
  assert.equal(places.total, 6000);
  assert.equal(places.lefts[3], 0);
  assert.equal(places.lefts[0], 100);
  assert.deepEqual(columnsBetween(places, 0, 350), [3, 0, 1, 2]);
  const far = columnsBetween(places, 3000, 350);
  assert.equal(far[0], 3);
  assert.ok(far.length <= 5);
  assert.ok(!far.includes(0));
});
