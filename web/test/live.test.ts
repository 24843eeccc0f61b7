import assert from "node:assert/strict";
import { test } from "node:test";

import { Hub, messagesFor, type OpenStream, questionOf } from "../src/data/live/hub.ts";
import { type FromHub, NOTHING, type Wants } from "../src/data/live/messages.ts";
import { earlier } from "../src/data/live/positions.ts";
import { EventParser } from "../src/data/live/sse.ts";

const STREAM =
  'id: next:0:1\n\n: a comment\n\nevent: run\ndata: {"runs":[]}\n\nid: next:0:2\nevent: tail\ndata: {"a":\ndata: 1}\n\n';

test("messages are the same in whatever pieces they come", () => {
  const whole = new EventParser().push(STREAM);
  assert.deepEqual(whole, [
    { event: "message", data: "", id: "next:0:1" },
    { event: "run", data: '{"runs":[]}', id: null },
    { event: "tail", data: '{"a":\n1}', id: "next:0:2" },
  ]);
  for (let size = 1; size < STREAM.length; size += 1) {
    const parser = new EventParser();
    const found = [];
    for (let at = 0; at < STREAM.length; at += size) found.push(...parser.push(STREAM.slice(at, at + size)));
    assert.deepEqual(found, whole, `pieces of ${size}`);
  }
});

test("positions meet at the earlier offset of each partition", () => {
  assert.equal(earlier("next:0:5,1:7", "next:0:6,1:2"), "next:0:5,1:2");
  assert.equal(earlier("next:0:5,1:7", "next:1:9"), "next:1:7");
  assert.equal(earlier(null, "next:0:1"), "next:0:1");
  assert.equal(earlier(null, null), null);
});

function wants(given: Partial<Wants>): Wants {
  return { ...NOTHING, workspace: "w", project: "p", ...given };
}

test("one stream watches what all tabs want", () => {
  assert.equal(questionOf([NOTHING]), null);
  const tail = { run: "r", metric: "m", x: "step", width: 4 };
  const body = questionOf([
    wants({ runs: ["r"], metrics: ["b", "a"], tails: [tail] }),
    wants({ runs: ["q"], metrics: ["a"], tails: [tail] }),
  ]);
  assert.deepEqual(body, {
    workspace: "w",
    project: "p",
    runs: ["q", "r"],
    metrics: ["a", "b"],
    tails: [tail],
    kinds: ["run", "summary", "tail"],
  });
  const all = questionOf([wants({ runs: "all" }), wants({ project: "other", runs: ["x"] })]);
  assert.deepEqual(all, { workspace: "w", project: null, runs: [], metrics: [], tails: [], kinds: ["run"] });
});

test("a tab hears of its own project and tails only", () => {
  const run = { run: "r", workspace: "w", project: "p" };
  const told = { runs: [run, { ...run, run: "q", project: "other" }] } as unknown as Parameters<typeof messagesFor>[1];
  const [message, ...more] = messagesFor(wants({ runs: "all" }), told);
  assert.deepEqual(more, []);
  assert.deepEqual(message, { kind: "runs", runs: [run] });
});

/** A server whose streams the test writes to. */
class FakeServer {
  readonly opened: { body: Record<string, unknown>; write: (text: string) => void; end: () => void; signal: AbortSignal }[] = [];
  isDown = false;
  private waiting: (() => void)[] = [];

  readonly open: OpenStream = (body, _key, signal) => {
    this.waiting.splice(0).forEach((wake) => wake());
    if (this.isDown) return Promise.reject(new Error("down"));
    let write: (text: string) => void = () => undefined;
    let end: () => void = () => undefined;
    const stream = new ReadableStream<string>({
      start(controller) {
        write = (text) => controller.enqueue(text);
        end = () => controller.close();
      },
    });
    this.opened.push({ body: body as Record<string, unknown>, write, end, signal });
    return Promise.resolve(stream);
  };

  /** Wait until a stream is opened, or refused. */
  next(): Promise<void> {
    return new Promise((wake) => this.waiting.push(wake));
  }
}

function tab(): { messages: FromHub[]; postMessage: (message: FromHub) => void } {
  const messages: FromHub[] = [];
  return { messages, postMessage: (message) => messages.push(message) };
}

test("a stream is opened again behind what was told, and goes back for a tab that read less", async () => {
  const server = new FakeServer();
  const hub = new Hub(server.open, () => new EventParser());
  const first = tab();
  let opening = server.next();
  hub.receive(first, { kind: "want", wants: wants({ runs: "all", since: "next:0:10" }), key: null });
  await opening;
  assert.equal(server.opened[0]?.body["since"], "next:0:10");
  server.opened[0]?.write('id: next:0:20\nevent: run\ndata: {"at":"2026-01-01T00:00:00Z","runs":[{"run":"r","workspace":"w","project":"p"}]}\n\n');
  while (!first.messages.some((one) => one.kind === "runs")) await new Promise((done) => setTimeout(done, 1));

  // The server goes away and comes back.
  opening = server.next();
  server.opened[0]?.end();
  await opening;
  assert.equal(server.opened[1]?.body["since"], "next:0:20");

  // A second tab read at 15 what it wants to follow.
  opening = server.next();
  const second = tab();
  const tail = { run: "r", metric: "m", x: "step", width: 1 };
  hub.receive(second, { kind: "want", wants: wants({ tails: [tail], since: "next:0:15" }), key: null });
  await opening;
  assert.equal(server.opened[2]?.body["since"], "next:0:15");
  await new Promise((done) => setTimeout(done, 1));
  assert.equal(server.opened[1]?.signal.aborted, true);

  // Nobody wants anything: the stream ends.
  hub.receive(first, { kind: "leave" });
  hub.receive(second, { kind: "want", wants: NOTHING, key: null });
  while (server.opened[2]?.signal.aborted !== true) await new Promise((done) => setTimeout(done, 5));
  const { messages } = second;
  assert.equal(messages.at(-1)?.kind, "state");
});

test("a tab is told that the stream is closed, and why", async () => {
  const server = new FakeServer();
  server.isDown = true;
  const hub = new Hub(server.open, () => new EventParser());
  const one = tab();
  hub.receive(one, { kind: "want", wants: wants({ runs: "all" }), key: null });
  await server.next();
  await server.next();
  const states = one.messages.flatMap((message) => (message.kind === "state" ? [message.state] : []));
  assert.equal(states.at(-1)?.isOpen, false);
  assert.equal(states.at(-1)?.problem, "down");
  hub.receive(one, { kind: "leave" });
});
