import assert from "node:assert/strict";
import { test } from "node:test";

import type { Lineage } from "../src/data/artifacts.ts";
import { graphOf } from "../src/state/lineage.ts";
import { layoutOf } from "../src/ui/graph/layout.ts";

test("places levels from left to right, neighbours side by side", () => {
  const nodes = ["a", "b", "c"].flatMap((name, at) => [
    { id: `${name}0`, level: -1 },
    { id: `${name}1`, level: 0 },
    { id: `${name}2`, level: at === 0 ? 7 : 3 },
  ]);
  const edges = [
    ["a0", "c1"],
    ["c0", "a1"],
    ["b0", "b1"],
    ["c1", "b2"],
    ["gone", "a0"],
  ].map(([from = "", to = ""]) => ({ from, to }));
  const { spots, columns, rows } = layoutOf(nodes, edges);
  assert.equal(columns, 4);
  assert.equal(rows, 3);
  assert.equal(spots.size, nodes.length);
  assert.equal(spots.get("a2")?.column, 3);
  assert.equal(spots.get("a0")?.row, spots.get("c1")?.row);
  assert.equal(spots.get("c0")?.row, spots.get("a1")?.row);
  const places = new Set([...spots.values()].map(({ column, row }) => `${column} ${row}`));
  assert.equal(places.size, nodes.length);
  assert.equal(layoutOf([], []).rows, 0);
});

test("draws data in the direction in which they go", () => {
  const lineage: Lineage = {
    runs: [{ run: "r", workspace: "w", project: "p", name: "<b>", status: "finished", deleted: false, distance: 0 }],
    versions: [
      { artifact: "d", ordinal: 1, version: "1", workspace: "w", project: null, artifact_type: "dataset", name: "data", distance: -1 },
      { artifact: "m", ordinal: 2, version: "1.0", workspace: "w", project: "p/q", artifact_type: "model", name: "model", distance: 1 },
    ],
    edges: [
      { kind: "used", run: "r", artifact: "d", ordinal: 1 },
      { kind: "made", run: "r", artifact: "m", ordinal: 2 },
    ],
    cut: [],
  };
  const { nodes, edges } = graphOf(lineage, { run: "r" });
  assert.deepEqual(
    nodes.map(({ level, to, isStart }) => [level, to, isStart]),
    [
      [0, "/w/p/r", true],
      [-1, null, false],
      [1, "/w/p%2Fq/-/artifacts?artifact=m&version=2", false],
    ],
  );
  assert.deepEqual(
    edges.map(({ from, to }) => [nodes.findIndex(({ id }) => id === from), nodes.findIndex(({ id }) => id === to)]),
    [[1, 0], [0, 2]],
  );
});
