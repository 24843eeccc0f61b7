import assert from "node:assert/strict";
import { mock, test } from "node:test";

import { Levels } from "../../src/chart/levels.ts";
import type { CurveSource, CurveTail } from "../../src/chart/source.ts";
import { grow, newView, type Range } from "../../src/chart/view.ts";
import { CurveEngine, type LoadedCurves, type Port } from "../../src/draw/engine.ts";
import type { FromWorker, ToWorker } from "../../src/draw/messages.ts";
import type { SeriesInfo } from "../../src/draw/series.ts";

const INFO: SeriesInfo = { key: "r\nloss", run: "r", metric: "loss", group: null, size: 1, rank: null, attempt: null, width: 64, rows: 100, points: 6_400, largest: 64, total: 6_400, origin: 0, unit: 1 };

/** A Worker that loads what it gets, and keeps what it was told. */
class FakeWorker implements Port {
  onmessage: Port["onmessage"] = null;
  onerror: Port["onerror"] = null;
  readonly told: ToWorker[] = [];

  postMessage(message: ToWorker): void {
    this.told.push(message);
    if (message.kind === "load") this.answer({ kind: "loaded", id: message.id, series: [INFO] });
  }

  answer(data: FromWorker): void {
    this.onmessage?.call(this as unknown as Worker, { data } as MessageEvent<FromWorker>);
  }

  terminate(): void {}

  kinds(kind: ToWorker["kind"]): ToWorker[] {
    return this.told.filter((one) => one.kind === kind);
  }
}

interface Loading {
  readonly range: Range | null;
  readonly points: number;
  readonly signal: AbortSignal;
  readonly finish: () => Promise<void>;
  readonly fail: (text: string) => Promise<void>;
}

function world(): { worker: FakeWorker; engine: CurveEngine; levels: Levels; loads: Loading[]; tell: (curves: LoadedCurves, tails: readonly CurveTail[]) => void; change: () => void } {
  const worker = new FakeWorker();
  const engine = new CurveEngine(worker);
  const loads: Loading[] = [];
  const listeners = new Map<number, (tails: readonly CurveTail[]) => void>();
  let change = () => {};
  const settle = async (): Promise<void> => {
    for (let turn = 0; turn < 10; turn++) await Promise.resolve();
  };
  const source: CurveSource = {
    load: (_metrics, range, points, signal) =>
      new Promise((resolve, reject) => {
        const finish = async (): Promise<void> => {
          resolve(await engine.load(new ArrayBuffer(8)));
          await settle();
        };
        const fail = async (text: string): Promise<void> => {
          reject(new Error(text));
          await settle();
        };
        loads.push({ range, points, signal, finish, fail });
      }),
    changed: (listener) => {
      change = listener;
      return () => {};
    },
    follow: (_metrics, curves, listener) => {
      listeners.set(curves.id, listener);
      return () => listeners.delete(curves.id);
    },
  };
  return { worker, engine, levels: new Levels(engine, ["loss"], source), loads, tell: (curves, tails) => listeners.get(curves.id)?.(tails), change: () => change() };
}

function tail(change: Partial<CurveTail> = {}): CurveTail {
  return { key: INFO.key, from: 6_336, x: [6_336], min: [0], max: [1], mean: [0.5], flags: [0], points: 6_410, earlier: false, ...change };
}

test("a zoom that rests is loaded once, with some room around it; what it replaces is aborted", async () => {
  mock.timers.enable({ apis: ["setTimeout", "Date"] });
  try {
    const { levels, loads, worker } = world();
    void levels.loadWhole(500);
    await loads[0]?.finish();
    assert.equal(loads[0]?.range, null);
    for (let step = 0; step < 20; step++) {
      levels.show({ from: 1_000 + step, to: 2_000 + step }, false, 6_400);
      mock.timers.tick(20);
    }
    assert.equal(loads.length, 1, "nothing is loaded while the zoom moves");
    mock.timers.tick(500);
    assert.equal(loads.length, 2);
    assert.deepEqual(loads[1]?.range, { from: 769, to: 2_269 });
    levels.show({ from: 3_000, to: 3_100 }, false, 6_400);
    mock.timers.tick(500);
    assert.equal(loads[1]?.signal.aborted, true);
    await loads[1]?.finish();
    assert.equal(levels.detailFor({ from: 1_100, to: 1_200 }), null, "what came too late is dropped");
    mock.timers.tick(1);
    assert.equal(worker.kinds("drop").length, 1);
    await loads[2]?.finish();
    assert.equal(levels.detailFor({ from: 3_010, to: 3_090 })?.from, 2_975);
    levels.show({ from: 3_010, to: 3_090 }, false, 6_400);
    mock.timers.tick(500);
    assert.equal(loads.length, 3, "a window that is fine enough is not loaded again");
    levels.show({ from: 5_000, to: 5_100 }, true, 6_400);
    mock.timers.tick(500);
    assert.equal(loads.length, 3, "nor is one that shows every point");
    levels.close();
    mock.timers.tick(1);
    assert.equal(worker.kinds("drop").length, 3, "all that was loaded is freed");
  } finally {
    mock.timers.reset();
  }
});

test("few windows are kept, and the whole below them", async () => {
  mock.timers.enable({ apis: ["setTimeout", "Date"] });
  try {
    const { levels, loads, worker } = world();
    void levels.loadWhole(500);
    await loads[0]?.finish();
    for (let window = 0; window < 8; window++) {
      levels.show({ from: window * 500, to: window * 500 + 100 }, false, 6_400);
      mock.timers.tick(500);
      await loads.at(-1)?.finish();
    }
    assert.equal(loads.length, 9);
    mock.timers.tick(1);
    assert.equal(worker.kinds("drop").length, 5);
    assert.notEqual(levels.base, null);
    levels.close();
  } finally {
    mock.timers.reset();
  }
});

test("tails go to the Worker; points that came earlier, and new series, load the whole again, not at once", async () => {
  mock.timers.enable({ apis: ["setTimeout", "Date"] });
  try {
    const { levels, loads, worker, tell } = world();
    void levels.loadWhole(500);
    await loads[0]?.finish();
    const base = levels.base as LoadedCurves;
    tell(base, [tail()]);
    assert.equal(worker.kinds("append").length, 1);
    for (let turn = 0; turn < 5; turn++) tell(base, [tail({ earlier: true }), tail({ key: "new\nloss" })]);
    assert.equal(worker.kinds("append").length, 1);
    assert.equal(loads.length, 1);
    mock.timers.tick(3_000);
    assert.equal(loads.length, 2);
    assert.equal(levels.base, base, "what is there stays until then");
    await loads[1]?.finish();
    assert.notEqual(levels.base, base);
    levels.close();
  } finally {
    mock.timers.reset();
  }
});

test("a load that fails is told, and what was there stays", async () => {
  const { levels, loads } = world();
  void levels.loadWhole(500);
  await loads[0]?.finish();
  const { base } = levels;
  void levels.loadWhole(500);
  await loads[1]?.fail("no places are free");
  assert.equal(levels.error.value, "no places are free");
  assert.equal(levels.base, base);
  levels.close();
});

test("other curves are loaded whatever was on its way, and none before the first are asked for", async () => {
  const { levels, loads, change } = world();
  change();
  assert.equal(loads.length, 0);
  void levels.loadWhole(500);
  change();
  assert.equal(loads.length, 2);
  assert.equal(loads[0]?.signal.aborted, true);
  await loads[0]?.finish();
  assert.equal(levels.base, null, "curves of the runs before do not count any more");
  await loads[1]?.fail("the server stopped");
  change();
  await loads[2]?.finish();
  assert.notEqual(levels.base, null);
  assert.equal(levels.error.value, null);
  levels.close();
});

test("curves that several charts hold are freed with the last of them", async () => {
  const worker = new FakeWorker();
  const engine = new CurveEngine(worker);
  const freed = async () => {
    await new Promise((done) => setTimeout(done, 5));
    return worker.kinds("drop").length;
  };
  const curves = await engine.load(new ArrayBuffer(8));
  engine.hold(curves);
  engine.hold(curves);
  engine.drop(curves);
  assert.equal(await freed(), 0);
  engine.drop(curves);
  assert.equal(await freed(), 1);

  // A chart that was closed while it waited gives its claim back before the one beside it makes its own.
  const shared = await engine.load(new ArrayBuffer(8));
  engine.hold(shared);
  engine.drop(shared);
  engine.hold(shared);
  assert.equal(await freed(), 1);
  engine.drop(shared);
  assert.equal(await freed(), 2);
});

test("pictures that were replaced, and those of closed charts, are closed", () => {
  const worker = new FakeWorker();
  const engine = new CurveEngine(worker);
  let shown = 0;
  let closed = 0;
  const picture = { close: () => closed++ } as unknown as ImageBitmap;
  const easel = engine.easel(() => shown++);
  easel.draw({} as never);
  easel.draw({} as never);
  const [first, second] = worker.kinds("draw") as (ToWorker & { kind: "draw" })[];
  const answer = (turn: number, chart: number): void => worker.answer({ kind: "picture", chart, turn, picture, report: {} as never });
  answer(second?.turn ?? 0, second?.chart ?? 0);
  answer(first?.turn ?? 0, first?.chart ?? 0);
  easel.close();
  answer(second?.turn ?? 0, second?.chart ?? 0);
  assert.deepEqual([shown, closed], [1, 2]);
});

test("a zoomed view follows the end only if it showed it", () => {
  const view = newView();
  grow(view, { from: 0, to: 100 });
  view.range.value = { from: 40, to: 60 };
  grow(view, { from: 0, to: 110 });
  assert.deepEqual(view.range.value, { from: 40, to: 60 });
  view.range.value = { from: 90, to: 110 };
  grow(view, { from: 0, to: 150 });
  assert.deepEqual(view.range.value, { from: 130, to: 150 });
  assert.deepEqual(view.extent.value, { from: 0, to: 150 });
});
