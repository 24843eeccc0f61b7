import assert from "node:assert/strict";
import { test } from "node:test";

import { addCurve, Columns } from "../../src/draw/columns.ts";
import { piecesOf, type Piece } from "../../src/draw/pieces.ts";
import { Scale, valueScale } from "../../src/draw/scale.ts";
import { endOf, placeOf } from "../../src/draw/series.ts";
import { bucketed, randomOf, windowed } from "./kit.ts";

/** A curve of `count` points with rising steps, gaps, and values that are no numbers. */
function randomCurve(random: () => number, count: number, odd: boolean): { steps: Float64Array; values: Float64Array } {
  const steps = new Float64Array(count);
  const values = new Float64Array(count);
  let step = Math.floor((random() - 0.3) * 100);
  for (let at = 0; at < count; at++) {
    step += random() < 0.05 ? 1 + Math.floor(random() * 200) : 1 + Math.floor(random() * 3);
    steps[at] = step;
    const kind = odd ? random() : 1;
    values[at] = kind < 0.03 ? NaN : kind < 0.04 ? Infinity : kind < 0.05 ? -Infinity : (random() - 0.4) * 10 ** Math.floor(random() * 4);
  }
  return { steps, values };
}

/** The y that each column has to cover, the slow way: every bucket and every piece between two is looked at for every column. */
function oracle(pieces: readonly Piece[], x: Scale, y: Scale, width: number, height: number): { top: number; bottom: number }[] {
  const buckets: { begin: number; end: number; top: number; bottom: number }[] = [];
  for (const { rows, begin, end, low, high } of pieces) {
    for (let row = begin; row < end; row++) {
      const [min, max] = rows.exact ? [rows.mean[row], rows.mean[row]] : [rows.min[row], rows.max[row]];
      let top = max === Infinity ? 0 : y.at(max as number);
      let bottom = min === -Infinity || (y.log && (min as number) <= 0) ? height : y.at(min as number);
      if (max === Infinity) top = Math.min(0, bottom);
      if (min === -Infinity || (y.log && (min as number) <= 0)) bottom = Math.max(height, top);
      if (max === -Infinity || min === Infinity) top = bottom = NaN;
      if (rows.exact && (!Number.isFinite(min) || (y.log && (min as number) <= 0))) top = bottom = NaN;
      const first = Math.max(low, placeOf(rows, row));
      const last = Math.min(high, endOf(rows, row));
      if (x.log && last <= 0) continue;
      buckets.push({ begin: x.log && first <= 0 ? 0 : x.at(first), end: x.at(last), top, bottom });
    }
  }
  const columns = Array.from({ length: width }, () => ({ top: Infinity, bottom: -Infinity }));
  columns.forEach((column, at) => {
    const add = (top: number, bottom: number): void => {
      column.top = Math.min(column.top, top);
      column.bottom = Math.max(column.bottom, bottom);
    };
    buckets.forEach((bucket, number) => {
      if (Number.isNaN(bucket.top) || Number.isNaN(bucket.bottom)) return;
      if (bucket.begin < at + 1 && bucket.end >= at) add(bucket.top, bucket.bottom);
      const before = buckets[number - 1];
      if (before === undefined || Number.isNaN(before.top) || Number.isNaN(before.bottom)) return;
      const from = Math.max(at, before.end);
      const to = Math.min(at + 1, bucket.begin);
      if (from > to || before.end >= at + 1 || bucket.begin < at || before.end === bucket.begin) return;
      for (const where of [from, to]) {
        const share = (where - before.end) / (bucket.begin - before.end);
        add(before.top + share * (bucket.top - before.top), before.bottom + share * (bucket.bottom - before.bottom));
      }
    });
  });
  return columns;
}

function close(one: number, other: number): boolean {
  return one === other || Math.abs(one - other) <= 1e-6 * Math.max(1, Math.abs(one), Math.abs(other));
}

test("columns cover what touches them, as a naive oracle says", () => {
  let compared = 0;
  for (let seed = 1; seed <= 300; seed++) {
    const random = randomOf(seed);
    const { steps, values } = randomCurve(random, 1 + Math.floor(random() * 400), seed % 2 === 0);
    const base = bucketed(steps, values, 2 ** Math.floor(random() * 6));
    const first = steps[0] as number;
    const last = steps[steps.length - 1] as number;
    const width = 1 + Math.floor(random() * 200);
    const from = first + (random() - 0.2) * (last - first);
    const to = from + (0.001 + random()) * (last - first + 1);
    const xLog = random() < 0.3;
    const yLog = random() < 0.3;
    const wide = random() < 0.5;
    const detail = { rows: windowed(steps, values, 1, wide ? from : from + (to - from) / 4, wide ? to : to - (to - from) / 4), from, to };
    const exactWindow = { ...detail, from: wide ? from : from + (to - from) / 4, to: wide ? to : to - (to - from) / 4 };
    const x = new Scale({ from: xLog ? Math.max(0.5, from) : from, to: xLog ? Math.max(2, to) : to, log: xLog }, width);
    const y = valueScale({ from: yLog ? 0.01 : -50, to: 500, log: yLog }, 200);
    const pieces = piecesOf(base, random() < 0.5 ? exactWindow : null, x.axis.from, x.axis.to);
    const columns = new Columns(width);
    addCurve(columns, pieces, x, y, 200);
    oracle(pieces, x, y, width, 200).forEach(({ top, bottom }, column) => {
      assert.ok(close(columns.top[column] as number, top), `seed ${seed}, column ${column}: top ${columns.top[column]}, not ${top}`);
      assert.ok(close(columns.bottom[column] as number, bottom), `seed ${seed}, column ${column}: bottom ${columns.bottom[column]}, not ${bottom}`);
      compared += top <= bottom ? 1 : 0;
    });
  }
  assert.ok(compared > 5_000, `only ${compared} columns had something in them`);
});

test("a spike of one point is in the picture of every window that has it", () => {
  const count = 1_000_000;
  const steps = Float64Array.from({ length: count }, (_, at) => at);
  const random = randomOf(7);
  const values = Float64Array.from({ length: count }, () => random());
  let shown = 0;
  for (let window = 0; window < 200; window++) {
    const spike = Math.floor(random() * count);
    const was = values[spike] as number;
    values[spike] = 100;
    const width = 2 ** Math.floor(random() * 11);
    const span = Math.min(count - 1, Math.floor(width * (100 + random() * 1_000)));
    const from = Math.max(0, Math.min(count - 1 - span, spike - Math.floor(random() * span)));
    const x = new Scale({ from, to: from + span, log: false }, 480);
    const y = valueScale({ from: 0, to: 100, log: false }, 260);
    const points = { steps: steps.subarray(from, from + span + 1), values: values.subarray(from, from + span + 1) };
    const base = bucketed(points.steps, points.values, width);
    const columns = new Columns(480);
    addCurve(columns, piecesOf(base, null, from, from + span), x, y, 260);
    const column = Math.min(479, Math.floor(x.at(spike)));
    if ((columns.top[column] as number) === 0) shown++;
    values[spike] = was;
  }
  assert.equal(shown, 200);
});
