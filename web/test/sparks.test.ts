import assert from "node:assert/strict";
import { test } from "node:test";

import { Client } from "../src/data/client.ts";
import { Sparks, sparkOf } from "../src/data/sparks.ts";
import type { Run } from "../src/data/types.ts";
import { pathOf } from "../src/ui/Spark.tsx";

/** Buckets of `width` steps of values, as the server makes them. */
function bucketsOf(values: readonly number[], low: number, high: number, most: number) {
  let width = 1;
  while (Math.floor(high / width) - Math.floor(low / width) + 1 > most) width *= 2;
  const series = { run: "r", x: [] as number[], count: [] as number[], nan_count: [] as number[], min: [] as (number | "NaN")[], max: [] as (number | "NaN")[] };
  for (let from = Math.floor(low / width) * width; from <= high; from += width) {
    const steps = values.map((_, step) => step).filter((step) => step >= Math.max(low, from) && step < from + width && step <= high);
    const [first] = steps;
    if (first === undefined) continue;
    const numbers = steps.map((step) => values[step] ?? Number.NaN).filter((value) => !Number.isNaN(value));
    series.x.push(first);
    series.count.push(steps.length);
    series.nan_count.push(steps.length - numbers.length);
    series.min.push(numbers.length === 0 ? "NaN" : Math.min(...numbers));
    series.max.push(numbers.length === 0 ? "NaN" : Math.max(...numbers));
  }
  return series;
}

async function nanSince(values: readonly number[]): Promise<[number | null, boolean]> {
  const client = new Client(
    () => null,
    () => undefined,
    (_input, init) => {
      const body = JSON.parse(String(init?.body)) as { max_points: number; x_from?: number; x_to?: number };
      const series = bucketsOf(values, body.x_from ?? 0, body.x_to ?? values.length - 1, body.max_points);
      return Promise.resolve(new Response(JSON.stringify({ series: [series] })));
    },
  );
  const sparks = new Sparks(client, "loss");
  const run = { run: "r", status: "running", updated_at: "", columns: {} } as unknown as Run;
  const found = sparks.of(run);
  for (let turn = 0; turn < 200; turn += 1) {
    await new Promise((done) => setTimeout(done, 2));
    const spark = found.value;
    if (spark !== null && (spark.nanSince === null || spark.isExact)) break;
  }
  return [found.value?.nanSince ?? null, found.value?.isExact ?? false];
}

test("finds the very step since which a curve is NaN", async () => {
  for (const [length, since] of [[10, 4], [3000, 2401], [3000, 2999], [3000, 0], [5000, 64]] as const) {
    const values = Array.from({ length }, (_, step) => (step >= since ? Number.NaN : step));
    // A NaN before the end is none of it.
    if (since > 5) values[3] = Number.NaN;
    assert.deepEqual(await nanSince(values), [since, true], `${length} steps, NaN since ${since}`);
  }
});

test("a curve that comes back from NaN is not NaN since then", () => {
  const series = bucketsOf([1, Number.NaN, Number.NaN, 2], 0, 3, 48);
  assert.equal(sparkOf(series).nanSince, null);
});

test("a picture covers the extremes of each bucket, and gaps stay gaps", () => {
  const spark = { x: [0, 1, 2, 3, 4], min: [0, 0, Number.NaN, 0, 0], max: [1, 9, Number.NaN, 1, 1], nanSince: null, isExact: false };
  const path = pathOf(spark, 0, 9);
  assert.equal(path.split("M").length - 1, 2);
  assert.match(path, / 2\.0/);
});

test("curves of rows that scrolled away are forgotten", async () => {
  let asked = 0;
  const client = new Client(
    () => null,
    () => undefined,
    (_input, init) => {
      asked += (JSON.parse(String(init?.body)) as { runs: readonly string[] }).runs.length;
      return Promise.resolve(new Response(JSON.stringify({ series: [] })));
    },
  );
  const sparks = new Sparks(client, "loss");
  const run = (number: number) => ({ run: `r${number}`, status: "finished", updated_at: "", columns: {} }) as unknown as Run;
  const first = sparks.of(run(0));
  assert.equal(sparks.of(run(0)), first);
  for (let number = 1; number <= 2000; number += 1) sparks.of(run(number));
  assert.notEqual(sparks.of(run(0)), first);
  assert.equal(sparks.of(run(2000)), sparks.of(run(2000)));
  while (asked < 2001) await new Promise((done) => setTimeout(done, 5));
});
