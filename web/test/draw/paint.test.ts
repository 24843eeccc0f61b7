import assert from "node:assert/strict";
import { test } from "node:test";

import type { Report, Scene } from "../../src/draw/messages.ts";
import { outlinesOf } from "../../src/draw/outline.ts";
import { near } from "../../src/draw/near.ts";
import { Painter } from "../../src/draw/paint.ts";
import { seriesKey, type Rows } from "../../src/draw/series.ts";
import { bucketed, curvesOf, randomOf, windowed } from "./kit.ts";

const SCENE: Scene = {
  width: 300,
  height: 150,
  ratio: 1,
  base: 1,
  detail: null,
  x: null,
  xLog: false,
  y: null,
  yLog: false,
  smoothing: null,
  band: "extremes",
  outliers: false,
  highlighted: null,
};

const painter = new Painter(() => 0);

function paint(rows: Readonly<Record<string, Rows>>, change: Partial<Scene> = {}, detail: Readonly<Record<string, Rows>> | null = null): Report {
  const lines = Object.keys(rows).map((run) => ({ key: seriesKey(run, "loss"), rgb: 0x3366cc, dash: 0 }));
  return painter.paint({ ...SCENE, ...change }, lines, { base: curvesOf(rows), detail: detail && curvesOf(detail) });
}

function points(values: readonly number[], width = 1): Rows {
  return bucketed(Float64Array.from(values.keys()), Float64Array.from(values), width);
}

/** Alpha of a pixel of the last picture. */
function alphaAt(column: number, row: number): number {
  return (painter.pixels.data[row * painter.pixels.width + column] as number) >>> 24;
}

function isPainted(column: number, top: number, bottom: number): boolean {
  for (let row = Math.max(0, top); row <= Math.min(SCENE.height - 1, bottom); row++) if (alphaAt(column, row) > 40) return true;
  return false;
}

test("a spike of one point is painted at every zoom, in buckets and point by point", () => {
  const random = randomOf(11);
  const count = 200_000;
  const steps = Float64Array.from({ length: count }, (_, at) => at);
  const values = Float64Array.from({ length: count }, () => random());
  values[123_456] = 50;
  const base = bucketed(steps, values, 256);
  for (let window = 0; window < 200; window++) {
    const span = Math.floor(10 ** (0.7 + random() * 4.5));
    const from = Math.floor(123_456 - random() * span);
    const x = { from, to: from + span };
    const isFine = window % 2 === 0 && span < 5_000;
    const detail = isFine ? { r: windowed(steps, values, 1, from, from + span) } : null;
    const report = paint({ r: base }, { x, detail: isFine ? { id: 2, ...x } : null }, detail);
    assert.ok(report.y.to >= 50, `window ${window}: the axis ends at ${report.y.to}`);
    const column = Math.min(299, Math.floor(((123_456 - from) / span) * 300));
    const top = Math.round((1 - (50 - report.y.from) / (report.y.to - report.y.from)) * 150);
    const isThere = [column - 1, column, column + 1].some((one) => one >= 0 && one < 300 && isPainted(one, top - 3, top + 3));
    assert.ok(isThere, `window ${window}: nothing at column ${column}, row ${top}`);
  }
});

test("pictures say what they cannot draw", () => {
  const odd = points([1, NaN, Infinity, 2, -Infinity, -3, 0, 5]);
  const report = paint({ odd, plain: points([1, 2, 3]) }, { yLog: true });
  assert.deepEqual([report.nan, report.infinite, report.notPositive], [1, 1, 1]);
  assert.ok(report.y.from > 0 && report.y.from < 1 && report.y.to > 5);
  assert.equal(report.exact, true);
  assert.ok(isPainted(Math.round(300 / 7), 130, 145), "NaN has a mark at its place");
  assert.ok(isPainted(Math.round(600 / 7), 0, 3), "infinity has one at the top");
  assert.ok(isPainted(Math.round(1200 / 7), 146, 149), "minus infinity has one at the bottom");
  assert.equal(paint({ odd }, { xLog: true }).beforeAxis, 1);
});

test("outliers are left out of the axis only on request, and are counted", () => {
  const random = randomOf(2);
  const values = Array.from({ length: 500 }, () => random());
  values[100] = 1e6;
  values[200] = -1e6;
  values[300] = 1e7;
  const all = paint({ r: points(values) });
  assert.ok(all.y.to > 1e7 && all.y.from < -1e6);
  assert.deepEqual([all.above, all.below], [0, 0]);
  const robust = paint({ r: points(values) }, { outliers: true });
  assert.ok(robust.y.to < 10 && robust.y.from > -10, `from ${robust.y.from} to ${robust.y.to}`);
  assert.deepEqual([robust.above, robust.below], [2, 1]);
  assert.deepEqual(robust.values, { low: -1e6, high: 1e7 });
});

test("a curve of one point, of none, and of one value have a picture", () => {
  assert.ok(isFinite(paint({ r: points([5]) }).y.from));
  assert.ok(isPainted(150, 60, 90), "one point is a dot in the middle");
  assert.equal(paint({ r: points([]) }).curves, 0);
  assert.equal(paint({}).extent, null);
  const flat = paint({ r: points([7, 7, 7]) });
  assert.ok(flat.y.from < 7 && flat.y.to > 7);
  for (const value of [Number.MAX_VALUE, -Number.MAX_VALUE, 5e-324, 1e308]) {
    const report = paint({ r: points([value, -value, 0]) });
    assert.ok(report.y.from < report.y.to && Number.isFinite(report.y.to - report.y.from), `${value}: ${report.y.from} to ${report.y.to}`);
  }
});

test("the highlighted curve is painted above the others", () => {
  const rows = { low: points([0, 1, 0]), high: points([0, 1, 0]) };
  const lines = [
    { key: seriesKey("low", "loss"), rgb: 0xff0000, dash: 0 },
    { key: seriesKey("high", "loss"), rgb: 0x0000ff, dash: 0 },
  ];
  painter.paint({ ...SCENE, highlighted: "low\n" }, lines, { base: curvesOf(rows), detail: null });
  const middle = [...painter.pixels.data.subarray(0, 300 * 150)].filter((pixel) => pixel >>> 24 === 255);
  assert.ok(middle.length > 100);
  assert.ok(middle.filter((pixel) => (pixel & 0xff) > 200).length > middle.length / 2, "red, which is the low one, is on top");
});

test("the pointer finds the buckets beside it, those of the nearest curve first", () => {
  const rows = { far: points([10, 10, 10, 10]), close: points([1, 2, 3, 4]) };
  const lines = Object.keys(rows).map((run) => ({ key: seriesKey(run, "loss"), rgb: 0, dash: 0 }));
  const loaded = { base: curvesOf(rows), detail: null };
  const report = painter.paint(SCENE, lines, loaded);
  const found = near(SCENE, report, lines, loaded, { x: 205, y: 140, most: 5 });
  assert.deepEqual(found.map(({ key, place, mean, exact }) => [key, place, mean, exact]), [
    ["close\nloss", 2, 3, true],
    ["far\nloss", 2, 10, true],
  ]);
  assert.deepEqual(near(SCENE, report, lines, loaded, { place: 1, direction: 1 }).map((one) => one.place), [2]);
  assert.deepEqual(near(SCENE, report, lines, loaded, { place: 1, direction: -1 }).map((one) => one.place), [0]);
  assert.deepEqual(near(SCENE, report, lines, loaded, { place: 3, direction: 1 }), []);
});

test("paths for files reach as far as the pixels do", () => {
  const random = randomOf(4);
  const values = Array.from({ length: 5_000 }, () => random());
  values[1_234] = 40;
  values[3_000] = NaN;
  const rows = { points: points(values.slice(0, 90)), buckets: points(values, 16) };
  const lines = Object.keys(rows).map((run) => ({ key: seriesKey(run, "loss"), rgb: 0, dash: 0 }));
  const [exact, wide] = outlinesOf({ ...SCENE, y: { from: 0, to: 40 } }, lines, { base: curvesOf(rows), detail: null });
  assert.equal(exact?.band, "");
  assert.equal(exact?.line.match(/[ML]/g)?.length, 90);
  assert.match(wide?.band ?? "", /^M0 [\d.]+H1L.*Z$/);
  assert.ok(/L[\d.]+ 0H/.test(wide?.band ?? ""), "the spike reaches the top");
  for (const path of [exact?.line, wide?.line, wide?.band]) assert.doesNotMatch(path ?? "NaN", /NaN|Infinity|e/);
});
