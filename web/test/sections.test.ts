import assert from "node:assert/strict";
import { test } from "node:test";

import { searched, sectionsOf } from "../src/state/sections.ts";

test("metrics stand by what is before their first slash", () => {
  const found = sectionsOf(["val/loss", "system/cpu", "loss", "train/layer10/norm", "train/layer2/norm", "/odd", "train/acc"]);
  assert.deepEqual(found, [
    { prefix: "", metrics: ["/odd", "loss"] },
    { prefix: "train", metrics: ["train/acc", "train/layer2/norm", "train/layer10/norm"] },
    { prefix: "val", metrics: ["val/loss"] },
    { prefix: "system", metrics: ["system/cpu"] },
  ]);
});

test("a search is words in any order", () => {
  const metrics = ["val/loss", "train/loss", "val/acc"];
  assert.deepEqual(searched(metrics, "LOSS val"), ["val/loss"]);
  assert.deepEqual(searched(metrics, "  "), metrics);
});
