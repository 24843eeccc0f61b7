import assert from "node:assert/strict";
import { test } from "node:test";

import { both, expectedAt, fieldOf, partsOfField, quoted } from "../src/state/filters.ts";

const CASES: readonly (readonly [string, string, string, string?])[] = [
  ["", "field", ""],
  ["met", "field", "met"],
  ["(metric.lo", "field", "metric.lo"],
  ['metric."top', "field", 'metric."top'],
  ['metric."top 1".ma', "field", 'metric."top 1".ma'],
  ["not arch", "field", "arch"],
  ["metric.loss ", "operator", "", "metric.loss"],
  ["metric.loss <", "operator", "<", "metric.loss"],
  ["metric.loss < ", "value", "", "metric.loss"],
  ["name starts", "operator", "starts", "name"],
  ["name startswith ", "value", "", "name"],
  ['status = "run', "value", '"run', "status"],
  ["status = run", "value", "run", "status"],
  ['status in ("running", "fi', "value", '"fi', "status"],
  ['status not in ("running", ', "value", "", "status"],
  ['status in ("running") ', "joint", ""],
  ["metric.loss < 1 ", "joint", ""],
  ["metric.loss < 1 an", "joint", "an"],
  ["metric.loss < 1 and ", "field", ""],
  ["archived and par", "field", "par"],
  ['"x" in ', "value", "", '"x"'],
  ['name = "a and b" ', "joint", ""],
  ["metric.loss is not ", "value", "", "metric.loss"],
  ["duration > 90m or (param.lr", "field", "param.lr"],
];

for (const [text, what, prefix, field] of CASES) {
  test(`expects a ${what} behind ${JSON.stringify(text)}`, () => {
    const found = expectedAt(text);
    assert.equal(found.what, what);
    assert.equal(found.prefix, prefix);
    assert.equal(text.slice(found.from), prefix);
    if (field !== undefined) assert.equal("field" in found ? found.field : null, field);
  });
}

test("reads any text in linear time", () => {
  for (const part of ['"', "'", '."', "\\", "(", "a.", '"\\', "metric."]) {
    expectedAt(part.repeat(20_000));
  }
});

test("quotes names that the language would read differently", () => {
  assert.equal(fieldOf("param", "lr"), "param.lr");
  assert.equal(fieldOf("metric", "val/acc", "max"), "metric.val/acc.max");
  assert.equal(fieldOf("metric", "top 1", "max"), 'metric."top 1".max');
  assert.equal(fieldOf("metric", "loss.min"), 'metric."loss.min"');
  assert.equal(fieldOf("param", 'a"b'), 'param."a\\"b"');
  assert.equal(quoted("a\\b\n"), '"a\\\\b\\n"');
});

test("joins filters", () => {
  assert.equal(both("", "a = 1"), "a = 1");
  assert.equal(both("a = 1 or b = 2", "c = 3"), "(a = 1 or b = 2) and c = 3");
});

test("a field that was written is read again, whatever its name", () => {
  const names = ["lr", "val/acc", "top 1", "loss.min", 'a"b', "a\\d", "a\\n\n\t", "ü", "", ".", "a.", '"', "\\"];
  for (const name of names) {
    for (const aggregate of ["", "max", "last"]) {
      assert.deepEqual(partsOfField(fieldOf("metric", name, aggregate)), { kind: "metric", name, aggregate }, JSON.stringify(name));
    }
    assert.deepEqual(partsOfField(fieldOf("param", name)), { kind: "param", name, aggregate: "" });
  }
  assert.deepEqual(partsOfField("param.loss.max"), { kind: "param", name: "loss.max", aggregate: "" });
  // What a person writes into the address is no reason to stop.
  assert.equal(partsOfField('metric."a\\d"')?.name, "a\\d");
  assert.equal(partsOfField('metric."open')?.name, '"open');
  assert.equal(partsOfField('metric."\\u00e9".max')?.name, "é");
  assert.equal(partsOfField("status"), null);
});
