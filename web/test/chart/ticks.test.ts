import assert from "node:assert/strict";
import { test } from "node:test";

import { durationText, tickText, valueText } from "../../src/chart/format.ts";
import { CHARACTER, gutterOf, ticksAcross, ticksUp } from "../../src/chart/layout.ts";
import { Scale, valueScale } from "../../src/draw/scale.ts";
import { randomOf } from "../draw/kit.ts";

const AXES = ["step", "time", "relative", "metric:x"] as const;

test("labels never overlap, differ, and stand at places of the axis", () => {
  const random = randomOf(1);
  let labels = 0;
  for (let turn = 0; turn < 2_000; turn++) {
    const axis = AXES[turn % AXES.length] ?? "step";
    const size = 40 + random() * 1_500;
    const log = axis !== "time" && random() < 0.3;
    const begin = axis === "time" ? 1.7e15 + random() * 1e14 : log ? 10 ** (random() * 12 - 6) : (random() - 0.3) * 10 ** (random() * 14 - 3);
    const span = axis === "time" ? 10 ** (2 + random() * 13) : Math.max(Math.abs(begin) * 1e-6, 10 ** (random() * 14 - 4));
    const scale = new Scale({ from: begin, to: log ? begin * 10 ** (random() * 9 + 0.1) : begin + span, log }, size);
    let end = -Infinity;
    const seen = new Set<string>();
    for (const { at, label } of ticksAcross(scale, axis)) {
      assert.ok(at >= scale.axis.from - span * 1e-9 && at <= scale.axis.to + span * 1e-9, `${axis}: ${at} is not on the axis`);
      const half = (label.length * CHARACTER) / 2;
      const middle = Math.min(Math.max(scale.at(at), half), size - half);
      assert.ok(middle - half > end, `${axis}: "${label}" overlaps`);
      end = middle + half;
      if (axis !== "time") assert.ok(!seen.has(label), `${axis} from ${scale.axis.from} to ${scale.axis.to}: "${label}" twice`);
      seen.add(label);
      labels++;
    }
  }
  assert.ok(labels > 5_000, `only ${labels} labels`);
});

test("labels of values have room in the gutter", () => {
  const random = randomOf(2);
  let empty = 0;
  for (let turn = 0; turn < 2_000; turn++) {
    const begin = (random() - 0.5) * 10 ** (random() * 40 - 20);
    const span = Math.max(Math.abs(begin) * 1e-5, 10 ** (random() * 40 - 20));
    const ticks = ticksUp(valueScale({ from: begin, to: begin + span, log: false }, 100 + random() * 500));
    const room = gutterOf(ticks) - 6;
    for (const { label } of ticks) assert.ok(label.length * CHARACTER <= room, `"${label}" has ${room} pixels`);
    assert.equal(new Set(ticks.map(({ label }) => label)).size, ticks.length, `from ${begin} to ${begin + span}: ${ticks.map(({ label }) => label).join(" ")}`);
    if (ticks.length === 0) empty++;
  }
  assert.ok(empty < 100, `${empty} axes have no labels`);
});

test("axes of the usual kinds have the usual labels", () => {
  const labels = (from: number, to: number, axis: (typeof AXES)[number], log = false): string[] =>
    ticksAcross(new Scale({ from, to, log }, 400), axis).map(({ label }) => label);
  assert.deepEqual(labels(1, 10_000, "step", true), ["1", "10", "100", "1,000", "1e4"].map((one) => (one === "1,000" ? "1000" : one)));
  assert.ok(labels(0, 100, "step").includes("50"));
  assert.deepEqual(labels(0, 4 * 3.6e9, "relative").slice(0, 3), ["0 s", "1 h", "2 h"]);
  assert.deepEqual(labels(0, 1_000_000, "step").slice(0, 2), ["0", "0.2M"]);
});

test("numbers and durations as text", () => {
  assert.deepEqual([NaN, Infinity, -Infinity, 0, 1234567, 0.1 + 0.2, -1.5e-9].map((one) => valueText(one)), ["NaN", "∞", "−∞", "0", "1,234,567", "0.3", "−1.5e-9"]);
  assert.deepEqual([0, 1_500, 2.5e6, 61e6, 3.6e9, 9e10, -6e7].map(durationText), ["0 s", "1.5 ms", "2.5 s", "1 min 1 s", "1 h", "1 d 1 h", "−1 min"]);
  assert.equal(tickText(0.30000000000000004, 0.1, 1), "0.3");
  assert.equal(tickText(1_500_000, 500_000, 2_000_000), "1.5M");
});
