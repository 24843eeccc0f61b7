import { type ReadonlySignal, signal } from "@preact/signals";

import { type ChartQuestion, chartsOf, groupsOf } from "../data/charts.ts";
import type { Client } from "../data/client.ts";
import type { Interest, Live } from "../data/live/client.ts";
import type { Tail, WatchedTail } from "../data/live/messages.ts";
import { nearestPoints } from "../data/points.ts";
import type { Summary } from "../data/types.ts";
import { numberOf } from "../data/values.ts";
import type { CurveEngine, LoadedCurves } from "../draw/engine.ts";
import { type SeriesInfo, seriesKey } from "../draw/series.ts";
import { Batches } from "./batches.ts";
import type { CurveSource, CurveTail, LoggedPoint } from "./source.ts";
import type { Range } from "./view.ts";

/** What curves a source has. */
export interface SourceQuestion {
  readonly workspace: string;
  readonly project: string;
  readonly runs: readonly string[];
  readonly x: string;
  /** Fields of the filter language; none: a curve for each run. */
  readonly groupBy: readonly string[];
  /** A position or a time; null: now, and what comes. */
  readonly asOf: string | null;
}

/** Positions that are remembered: of more curves than a view follows at a time. */
const MOST_POSITIONS = 500;
/** Axes on which a bucket has a place that further points do not change. */
const FOLLOWED = ["step", "time", "relative"];

/** Curves of runs, or of groups of runs, from this server; live where they are of the present. */
export class ServerSource implements CurveSource {
  private runs: ReadonlySet<string>;
  private readonly listeners = new Set<() => void>();
  private readonly batches: Batches<LoadedCurves>;
  private readonly found = signal<readonly SeriesInfo[]>([]);
  /** The groups that were loaded, of all metrics. */
  readonly groups: ReadonlySignal<readonly SeriesInfo[]> = this.found;
  /** Where curves were read, by their numbers. */
  private readonly positions = new Map<number, string | null>();

  constructor(
    private readonly client: Client,
    private readonly live: Live,
    private readonly engine: CurveEngine,
    private question: SourceQuestion,
  ) {
    this.runs = new Set(question.runs);
    this.batches = new Batches((key, metrics, signal) => this.ask(key, metrics, signal));
  }

  /** Whether its curves are those of groups of runs. */
  get isGrouped(): boolean {
    return this.question.groupBy.length > 0;
  }

  /** Have other runs from now on: charts keep what they show until those are there. */
  show(runs: readonly string[]): void {
    const was = this.question.runs;
    if (runs.length === was.length && runs.every((run, at) => run === was[at])) return;
    this.question = { ...this.question, runs };
    this.runs = new Set(runs);
    for (const listener of [...this.listeners]) listener();
  }

  changed(listener: () => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  load(metrics: readonly string[], range: Range | null, points: number, signal: AbortSignal): Promise<LoadedCurves> {
    return this.batches.load({ key: JSON.stringify([range, points]), metrics, signal });
  }

  follow(metrics: readonly string[], curves: LoadedCurves, listener: (tails: readonly CurveTail[]) => void): () => void {
    const { x, asOf, workspace, project } = this.question;
    if (asOf !== null) return () => undefined;
    const series = curves.series.filter((one) => metrics.includes(one.metric));
    const isTailed = !this.isGrouped && FOLLOWED.includes(x);
    // Curves of other widths have tails of their own.
    const widths = new Map(series.map((one) => [one.key, widthOf(one)]));
    const again = (metric: string) => listener([emptyTail(series[0]?.key ?? seriesKey("", metric))]);
    const interest: Interest = {
      workspace,
      project,
      metrics,
      tails: isTailed ? series.map((one) => watched(one, x)) : [],
      since: this.positions.get(curves.id) ?? null,
      onTails: (tails) => {
        const mine = tails.filter((tail) => widths.get(seriesKey(tail.run, tail.metric)) === tail.width);
        if (mine.length > 0) listener(mine.map(curveTail));
      },
      onSummaries: (summaries) => {
        // What has no tails is read again, and so is a chart in which a curve begins.
        const isOther = (one: Summary) => !isTailed || !widths.has(seriesKey(one.run, one.metric));
        const other = summaries.find((one) => metrics.includes(one.metric) && this.runs.has(one.run) && isOther(one));
        if (other !== undefined) again(other.metric);
      },
      onMissed: () => again(metrics[0] ?? ""),
    };
    return this.live.follow(interest);
  }

  async points(keys: readonly string[], x: number, window: Range, signal: AbortSignal): Promise<readonly LoggedPoint[]> {
    const { x: axis, asOf } = this.question;
    // On other axes a place is made of more than one point, and a group has no points of its own.
    if (this.isGrouped || (axis !== "step" && axis !== "time")) return [];
    const wanted = new Set(keys);
    const pairs = keys.map((key) => key.split("\n"));
    const question = {
      runs: [...new Set(pairs.flatMap(([run]) => run ?? []))],
      metrics: [...new Set(pairs.flatMap(([, metric]) => metric ?? []))],
      x: axis,
      near: x,
      range: [window.from, window.to],
      asOf,
    } as const;
    const found = await nearestPoints(this.client, question, signal);
    return found.flatMap(({ run, metric, step, at, value }) => {
      const place = axis === "step" ? step : at;
      const key = seriesKey(run, metric);
      return place !== null && wanted.has(key) ? [{ key, x: place, step, at, value }] : [];
    });
  }

  private async ask(key: string, metrics: readonly string[], signal: AbortSignal): Promise<LoadedCurves> {
    const [range, points] = JSON.parse(key) as [Range | null, number];
    const { runs, x, groupBy, asOf } = this.question;
    const question: ChartQuestion = { runs, metrics, x, range: range === null ? null : [range.from, range.to], points, asOf };
    if (this.isGrouped) {
      const { stream } = await groupsOf(this.client, question, groupBy, signal);
      const curves = await this.engine.loadGroups(stream);
      this.found.value = merged(this.found.peek(), curves.series);
      return curves;
    }
    const { stream, position } = await chartsOf(this.client, question, signal);
    const curves = await this.engine.load(stream);
    this.positions.set(curves.id, position);
    for (const old of this.positions.keys()) {
      if (this.positions.size <= MOST_POSITIONS) break;
      this.positions.delete(old);
    }
    return curves;
  }
}

function watched(series: SeriesInfo, x: string): WatchedTail {
  return { run: series.run, metric: series.metric, x, width: widthOf(series) };
}

/** The width of its buckets as the stream of tails has it. */
function widthOf(series: SeriesInfo): number {
  return Math.max(1, series.width);
}

function curveTail(tail: Tail): CurveTail {
  const numbers = (values: Tail["min"]) => values.map((value) => numberOf(value) ?? Number.NaN);
  return {
    key: seriesKey(tail.run, tail.metric),
    from: tail.from,
    x: tail.x,
    min: numbers(tail.min),
    max: numbers(tail.max),
    mean: numbers(tail.mean),
    flags: tail.flags,
    points: tail.points,
    earlier: tail.earlier || tail.too_many,
  };
}

/** Says that a chart has to be read again. */
function emptyTail(key: string): CurveTail {
  return { key, from: 0, x: [], min: [], max: [], mean: [], flags: [], points: 0, earlier: true };
}

function merged(known: readonly SeriesInfo[], loaded: readonly SeriesInfo[]): readonly SeriesInfo[] {
  const keys = new Set(known.map((one) => one.key));
  const added = loaded.filter((one) => !keys.has(one.key));
  return added.length === 0 ? known : [...known, ...added];
}
