import assert from "node:assert/strict";
import { test } from "node:test";

import { Batches } from "../src/chart/batches.ts";

const never = new AbortController().signal;

test("a row of charts is one request, and others wait for their turn", async () => {
  const asked: string[] = [];
  const open: (() => void)[] = [];
  const batches = new Batches<string>((key, metrics) => {
    const name = `${key}:${metrics.join("+")}`;
    asked.push(name);
    return new Promise((resolve) => open.push(() => resolve(name)));
  });
  const names = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j"];
  const all = Promise.all(names.map((metric) => batches.load({ key: "k", metrics: [metric], signal: never })));
  const other = batches.load({ key: "z", metrics: ["a"], signal: never });
  await new Promise((done) => setTimeout(done, 30));
  assert.deepEqual(asked, ["k:a+b+c", "k:d+e+f", "k:g+h+i"]);
  while (open.length > 0) {
    open.splice(0).forEach((end) => end());
    await new Promise((done) => setTimeout(done, 1));
  }
  assert.equal((await all)[3], "k:d+e+f");
  assert.equal(await other, "z:a");
});

test("a request ends when all that wait for it have gone, and is not begun for nobody", async () => {
  const signals: AbortSignal[] = [];
  const batches = new Batches<string>((_key, _metrics, signal) => {
    signals.push(signal);
    return new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason)));
  });
  const one = new AbortController();
  const two = new AbortController();
  const loads = [one, two].map((end, at) => batches.load({ key: "k", metrics: [`m${at}`], signal: end.signal }).catch(() => "gone"));
  const gone = new AbortController();
  gone.abort();
  const nobody = batches.load({ key: "other", metrics: ["x"], signal: gone.signal }).catch(() => "gone");
  await new Promise((done) => setTimeout(done, 20));
  assert.equal(signals.length, 1);
  one.abort();
  assert.equal(signals[0]?.aborted, false);
  two.abort();
  assert.equal(signals[0]?.aborted, true);
  assert.deepEqual([...(await Promise.all(loads)), await nobody], ["gone", "gone", "gone"]);
});
