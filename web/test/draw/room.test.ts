import assert from "node:assert/strict";
import { test } from "node:test";

import { Curves } from "../../src/draw/curves.ts";
import { singleAbove, singleBelow, type Tail } from "../../src/draw/room.ts";
import { placeOf, type Rows } from "../../src/draw/series.ts";
import { bucketed, curvesOf, randomOf } from "./kit.ts";

function tailOf(key: string, from: number, rows: Rows, points: number): Tail {
  const begin = [...rows.x.keys()].find((row) => placeOf(rows, row) >= from) ?? rows.length;
  const x = Float64Array.from({ length: rows.length - begin }, (_, at) => placeOf(rows, begin + at));
  const cut = (values: Rows["min"]): Float64Array => Float64Array.from(values.subarray(begin));
  return { key, from, x, min: cut(rows.min), max: cut(rows.max), mean: cut(rows.mean), flags: rows.flags.slice(begin), points };
}

/** Singles and counts, as a response has them. */
function packed(rows: Rows): Rows {
  return {
    ...rows,
    origin: placeOf(rows, 0),
    x: Uint32Array.from(rows.x, (place) => place - placeOf(rows, 0)),
    min: Float32Array.from(rows.min, singleBelow),
    max: Float32Array.from(rows.max, singleAbove),
    mean: Float32Array.from(rows.mean),
  };
}

test("a curve that grew by tails is the curve that is loaded at the end", () => {
  for (let seed = 1; seed <= 60; seed++) {
    const random = randomOf(seed);
    const count = 20 + Math.floor(random() * 300);
    const width = 2 ** Math.floor(random() * 4);
    const steps = Float64Array.from({ length: count }, (_, at) => at * 3);
    const values = Float64Array.from({ length: count }, () => (random() < 0.05 ? NaN : random() * 100 - 50));
    const upTo = (points: number): Rows => bucketed(steps.slice(0, points), values.slice(0, points), width);
    let points = 1 + Math.floor(random() * 10);
    const curves = curvesOf({ r: packed(upTo(points)), other: packed(upTo(count)) });
    const [first, other] = curves.list as [Curves["list"][number], Curves["list"][number]];
    const untouched = Float32Array.from(other.rows.min);
    while (points < count) {
      const last = placeOf(first.rows, first.rows.length - 1);
      points = Math.min(count, points + 1 + Math.floor(random() * 20));
      assert.notEqual(curves.append(tailOf(first.info.key, last, upTo(points), points)), null);
    }
    const wanted = packed(upTo(count));
    assert.equal(first.rows.length, wanted.length);
    assert.equal(first.rows.exact, wanted.exact);
    assert.equal(first.info.largest === 1, wanted.exact);
    for (const name of ["min", "max", "mean", "flags"] as const) assert.deepEqual([...first.rows[name]], [...wanted[name]], `seed ${seed}: ${name}`);
    assert.deepEqual([...first.rows.x.keys()].map((row) => placeOf(first.rows, row)), [...wanted.x.keys()].map((row) => placeOf(wanted, row)));
    assert.deepEqual(other.rows.min, untouched, "the next curve of the same response was written over");
  }
});

test("places that have no room in 32 bits are kept as doubles", () => {
  const rows = packed(bucketed(Float64Array.of(0, 1, 2), Float64Array.of(1, 2, 3), 1));
  const curves = curvesOf({ r: rows });
  const far = Float64Array.of(3, 2 ** 40);
  const key = curves.list[0]?.info.key ?? "";
  curves.append({ key, from: 3, x: far, min: far, max: far, mean: far, flags: new Uint8Array(2), points: 5 });
  const grown = curves.list[0]?.rows as Rows;
  assert.deepEqual([0, 1, 2, 3, 4].map((row) => placeOf(grown, row)), [0, 1, 2, 3, 2 ** 40]);
});

test("a tail of a series that is not loaded changes nothing", () => {
  const empty = new Float64Array(0);
  assert.equal(curvesOf({}).append({ key: "none", from: 0, x: empty, min: empty, max: empty, mean: empty, flags: new Uint8Array(0), points: 0 }), null);
});

test("singles are rounded outward", () => {
  const random = randomOf(5);
  for (let turn = 0; turn < 2_000; turn++) {
    const value = (random() - 0.5) * 10 ** (random() * 60 - 30);
    assert.ok(singleBelow(value) <= value && singleAbove(value) >= value);
    assert.ok(Math.fround(value) === singleBelow(value) || Math.fround(value) === singleAbove(value));
  }
  assert.equal(singleBelow(Infinity), Infinity);
  assert.ok(Number.isNaN(singleAbove(NaN)));
});
