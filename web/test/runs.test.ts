import assert from "node:assert/strict";
import { test } from "node:test";

import { Client } from "../src/data/client.ts";
import { RunList, type RunQuestion } from "../src/data/runs.ts";

const QUESTION: RunQuestion = { workspace: "w", project: "p", filter: "", sort: "-created", columns: [], asOf: null };

/** A server with so many runs, whose next responses may be refused. */
class FakeServer {
  readonly asked: { limit: number; cursor: string | null }[] = [];
  refusals: Response[] = [];

  constructor(private readonly count: number) {}

  readonly send: typeof fetch = (_input, init) => {
    const body = JSON.parse(String(init?.body)) as { limit: number; cursor: string | null };
    this.asked.push(body);
    const refusal = this.refusals.shift();
    if (refusal !== undefined) return Promise.resolve(refusal);
    const from = Number(body.cursor ?? 0);
    const end = Math.min(this.count, from + body.limit);
    const runs = Array.from({ length: end - from }, (_, at) => ({ run: `r${from + at}`, columns: {} }));
    const next = end < this.count ? String(end) : null;
    const answer = { runs, next_cursor: next, total: this.count, unknown: [] };
    return Promise.resolve(new Response(JSON.stringify(answer), { headers: { "Runstream-Position": "next:0:1" } }));
  };

  list(): RunList {
    return new RunList(new Client(() => null, () => undefined, this.send));
  }
}

async function until(is: () => boolean): Promise<void> {
  for (let turn = 0; turn < 2000 && !is(); turn += 1) await new Promise((done) => setTimeout(done, 5));
  assert.ok(is());
}

test("rows come page by page, as far as somebody looks", async () => {
  const server = new FakeServer(100_000);
  const list = server.list();
  list.ask(QUESTION);
  await until(() => list.rows.value.length === 200);
  assert.equal(list.total.value, 100_000);
  list.need(3_500);
  await until(() => list.rows.value.length >= 3_500);
  assert.ok(server.asked.length <= 6, `${server.asked.length} requests`);
  assert.deepEqual(
    list.rows.value.map((run) => run.run),
    Array.from({ length: list.rows.value.length }, (_, at) => `r${at}`),
  );
  list.end();
});

test("what passes is tried again, what is wrong is not", async () => {
  const server = new FakeServer(3);
  server.refusals = [new Response("{}", { status: 503, headers: { "Retry-After": "0" } })];
  const list = server.list();
  list.ask(QUESTION);
  await until(() => list.rows.value.length === 3);
  assert.equal(list.error.value, null);
  server.refusals = [new Response(JSON.stringify({ type: "a:invalid-filter", detail: "no", name: "filter" }), { status: 400 })];
  list.ask({ ...QUESTION, filter: "x" });
  await until(() => list.error.value !== null);
  const asked = server.asked.length;
  await new Promise((done) => setTimeout(done, 50));
  assert.equal(server.asked.length, asked);
  // The rows stay while the question is corrected.
  assert.equal(list.rows.value.length, 3);
  list.end();
});

test("changed rows are replaced in their place, and unknown ones told", async () => {
  const list = new FakeServer(3).list();
  list.ask(QUESTION);
  await until(() => list.rows.value.length === 3);
  const [first, second] = list.rows.value;
  assert.ok(first && second);
  const unknown = list.update([{ ...second, name: "new" }, { ...first, run: "other" }]);
  assert.deepEqual(unknown, ["other"]);
  assert.equal(list.rows.value[1]?.name, "new");
  assert.equal(list.rows.value[0], first);
  list.end();
});
