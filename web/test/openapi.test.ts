import assert from "node:assert/strict";
import { test } from "node:test";

import { curlOf, type OpenApi, resolved, routesByTag, typeText } from "../src/data/openapi.ts";

const DOCUMENT: OpenApi = {
  info: { title: "x" },
  paths: {
    "/a/{b}": { get: { summary: "Read it", tags: ["runs"] }, post: { summary: "Make it", tags: ["runs"] } },
    "/it's": {
      post: { requestBody: { content: { "application/json": { examples: { one: { value: { name: "it's" } } } } } } },
    },
  },
  components: { schemas: { Run: { type: "object", properties: { a: { type: "string" } } } } },
};

test("routes stand by their tag, and words in any order find them", () => {
  assert.deepEqual([...routesByTag(DOCUMENT, "").keys()], ["runs", "other"]);
  assert.deepEqual(routesByTag(DOCUMENT, "MAKE post").get("runs")?.map((route) => route.key), ["post /a/{b}"]);
  assert.equal(routesByTag(DOCUMENT, "nothing like it").size, 0);
});

test("types read as they are", () => {
  assert.equal(typeText({ anyOf: [{ type: "array", items: { $ref: "#/components/schemas/Run" } }, { type: "null" }] }), "list of Run | null");
  assert.equal(typeText({ enum: ["a", 1] }), '"a" | 1');
  assert.equal(typeText({ type: "object", additionalProperties: { type: "string", format: "date-time" } }), "object of string (date-time)");
  assert.equal(typeText(undefined), "anything");
  const deep = Array.from({ length: 50 }).reduce<object>((inner) => ({ type: "array", items: inner }), { type: "string" });
  assert.ok(typeText(deep).endsWith("…"));
  assert.equal(resolved(DOCUMENT, { $ref: "#/components/schemas/Run" })?.type, "object");
});

test("the line for a terminal quotes what a shell would read", () => {
  const [route] = routesByTag(DOCUMENT, "it's").get("other") ?? [];
  assert.ok(route);
  const curl = curlOf("http://h", route, true);
  assert.match(curl, /'http:\/\/h\/it'\\''s'/);
  assert.match(curl, /-d '\{"name":"it'\\''s"\}'/);
  assert.match(curl, /Bearer \$RUNSTREAM_API_KEY/);
});
