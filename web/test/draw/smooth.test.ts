import assert from "node:assert/strict";
import { test } from "node:test";

import { smoothed } from "../../src/draw/smooth.ts";
import { endOf, placeOf } from "../../src/draw/series.ts";
import { bucketed, randomOf, windowed } from "./kit.ts";

/** The definition: each value holds since the one before it, weighted by exp(-(x - u) / length), divided by the weights. */
function oracle(steps: readonly number[], values: readonly number[], length: number, at: number): number {
  const x = steps[at] as number;
  let sum = 0;
  let weights = 0;
  for (let number = 0; number <= at; number++) {
    const step = steps[number] as number;
    const before = number > 0 ? (steps[number - 1] as number) : 2 * step - (steps[1] ?? step + 1);
    const weight = Math.exp(-(x - step) / length) - Math.exp(-(x - before) / length);
    if (!Number.isFinite(values[number])) continue;
    sum += weight * (values[number] as number);
    weights += weight;
  }
  return weights > 0 ? sum / weights : NaN;
}

test("smoothing of points is the average that is defined", () => {
  for (let seed = 1; seed <= 40; seed++) {
    const random = randomOf(seed);
    let step = 0;
    const steps = Array.from({ length: 80 }, () => (step += 1 + Math.floor(random() * 30)));
    const values = steps.map(() => (random() < 0.05 ? NaN : random() < 0.02 ? Infinity : random() * 10 - 5));
    const rows = bucketed(Float64Array.from(steps), Float64Array.from(values), 1);
    const length = 5 + random() * 300;
    const found = smoothed(rows, length, null, 0);
    steps.forEach((_, at) => {
      const wanted = oracle(steps, values, length, at);
      const is = found[at] as number;
      assert.ok(Math.abs(is - wanted) < 1e-6 || (Number.isNaN(is) && Number.isNaN(wanted)), `seed ${seed}, point ${at}: ${is}, not ${wanted}`);
    });
  }
});

test("a constant stays what it is from its first point on", () => {
  const steps = Float64Array.from({ length: 50 }, (_, at) => at * at);
  const rows = bucketed(steps, new Float64Array(50).fill(3), 1);
  for (const value of smoothed(rows, 100, null, 0)) assert.ok(Math.abs(value - 3) < 1e-12);
});

test("wide buckets, narrow ones and a window of points give the same smoothed curve", () => {
  const random = randomOf(3);
  const count = 100_000;
  const steps = Float64Array.from({ length: count }, (_, at) => at);
  const values = Float64Array.from({ length: count }, (_, at) => Math.sin(at / 5_000) + (random() - 0.5));
  const length = 4_000;
  const points = bucketed(steps, values, 1);
  const exact = smoothed(points, length, null, 0);
  const wide = bucketed(steps, values, 128);
  const coarse = smoothed(wide, length, null, 0);
  for (let row = 0; row < wide.length; row++) {
    const wanted = exact[Math.min(count - 1, endOf(wide, row))] as number;
    assert.ok(Math.abs((coarse[row] as number) - wanted) < 0.02, `row ${row}: ${coarse[row]}, not ${wanted}`);
  }
  const from = 50_000;
  const window = windowed(steps, values, 1, from, from + 3_000);
  const fine = smoothed(window, length, wide, from);
  for (let row = 0; row < window.length; row += 100) {
    const wanted = exact[placeOf(window, row)] as number;
    assert.ok(Math.abs((fine[row] as number) - wanted) < 0.02, `point ${row} of the window: ${fine[row]}, not ${wanted}`);
  }
});
