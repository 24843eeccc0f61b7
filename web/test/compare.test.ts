import assert from "node:assert/strict";
import { test } from "node:test";

import { compared } from "../src/data/comparison.ts";
import { diffOf } from "../src/data/diff.ts";
import type { Run } from "../src/data/types.ts";

function run(given: Partial<Run>): Run {
  const texts = { run: "r", workspace: "w", project: "p", experiment: "", name: "n", message: "", user: "u", host: "h", notes: "", group: "", job_type: "" };
  const times = { created_at: "t", started_at: "t", ended_at: null, updated_at: "t", duration_s: 1 };
  return { ...texts, ...times, status: "finished", tags: [], archived: false, deleted: false, points_dropped: 0, columns: {}, ...given };
}

test("puts the values of runs side by side", () => {
  const rows = compared([
    run({ columns: { "param.lr": 0.1, 'param."odd name"': "x", "env.packages.numpy": "2.0", "env.git.commit": "a", "metric.loss": "NaN" } }),
    run({ user: "v", columns: { "param.lr": 0.1, "env.packages.numpy": "2.1", "env.git.commit": "a", "metric.loss": "NaN", "param.__proto__": 1 } }),
  ]);
  const found = rows.filter(({ section }) => section !== "run").map(({ section, name, differs }) => [section, name, differs]);
  assert.deepEqual(found, [
    ["parameters", "__proto__", true],
    ["parameters", "lr", false],
    ["parameters", "odd name", true],
    ["metrics", "loss", false],
    ["environment", "git.commit", false],
    ["packages", "numpy", true],
  ]);
  assert.equal(rows.find(({ name }) => name === "user")?.differs, true);
  assert.equal(rows.find(({ name }) => name === "host")?.differs, false);
  assert.deepEqual(compared([]).some(({ differs }) => differs), false);
});

test("finds the least difference of two texts", () => {
  const short = (a: string, b: string) => diffOf(a, b).map(({ kind, text }) => `${{ same: " ", added: "+", removed: "-" }[kind]}${text}`);
  assert.deepEqual(short("a\nb\nc\n", "a\nx\nc\n"), [" a", "-b", "+x", " c"]);
  assert.deepEqual(short("", "a\n"), ["+a"]);
  assert.deepEqual(short("a", ""), ["-a"]);
  assert.deepEqual(short("a\nb", "a\nb"), [" a", " b"]);
  assert.equal(diffOf("a\nb\nc\na\nb\nb\na", "c\nb\na\nb\na\nc").filter(({ kind }) => kind !== "same").length, 5);
});

test("gives both texts back, whatever they are", () => {
  let seed = 11;
  const next = (below: number) => {
    seed = (Math.imul(seed, 1103515245) + 12345) >>> 0;
    return (seed >>> 8) % below;
  };
  for (let round = 0; round < 400; round += 1) {
    const text = () => Array.from({ length: next(12) }, () => "abc".charAt(next(3))).join("\n");
    const [a, b] = [text(), text()];
    const lines = diffOf(a, b);
    const side = (kind: string) => lines.filter((line) => line.kind === "same" || line.kind === kind).map((line) => line.text).join("\n");
    assert.equal(side("removed"), a);
    assert.equal(side("added"), b);
  }
  const many = (from: number) => Array.from({ length: 20_000 }, (_, at) => String(at + from)).join("\n");
  assert.equal(diffOf(many(0), many(50_000)).length, 40_000);
});
