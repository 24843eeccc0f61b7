import { type ReadonlySignal, type Signal, signal } from "@preact/signals";

import { exact } from "./charts.ts";
import type { Client } from "./client.ts";
import type { JsonNumber, Run } from "./types.ts";
import { numberOf } from "./values.ts";

/** A curve as a picture of a few buckets. */
export interface Spark {
  readonly x: readonly number[];
  /** NaN where a bucket has no number. */
  readonly min: readonly number[];
  readonly max: readonly number[];
  /** The step of the first of the NaN that the curve ends with; null: it does not end with one. */
  readonly nanSince: number | null;
  /** Whether `nanSince` is the very step, and not the bucket that it is in. */
  readonly isExact: boolean;
}

interface Series {
  readonly run: string;
  readonly x: readonly number[];
  readonly count: readonly number[];
  readonly nan_count: readonly number[];
  readonly min: readonly JsonNumber[];
  readonly max: readonly JsonNumber[];
}

const BUCKETS = 48;
/** Buckets in which the first NaN of an end is looked for. */
const SEARCH_BUCKETS = 1024;
/** Rows that come into sight together are asked for together, in milliseconds. */
const GATHER_MS = 30;
/** A run that trains is read again so often at most, in milliseconds. */
const AGAIN_MS = 2000;
const AT_ONCE = 200;
/** Curves that are remembered: many times the rows that a screen shows. */
const MOST_KEPT = 2000;

interface Entry {
  readonly spark: Signal<Spark | null>;
  /** What the run was when the curve was read. */
  version: string;
  /** When that was, in milliseconds; 0: never. */
  readMs: number;
}

/** Curves of a metric for the rows that are in sight, read once for each state of a run. */
export class Sparks {
  private readonly entries = new Map<string, Entry>();
  private readonly wanted = new Map<string, Run>();
  private timer: ReturnType<typeof setTimeout> | null = null;

  constructor(
    private readonly client: Client,
    private readonly metric: string,
  ) {}

  /** Return the curve of a run; null until it is read. Asks for it if it is not read yet, or the run went on. */
  of(run: Run): ReadonlySignal<Spark | null> {
    let entry = this.entries.get(run.run);
    if (entry === undefined) {
      entry = { spark: signal(null), version: "", readMs: 0 };
      this.entries.set(run.run, entry);
      const [oldest] = this.entries.keys();
      if (this.entries.size > MOST_KEPT && oldest !== undefined) this.entries.delete(oldest);
    }
    const version = `${run.status} ${run.updated_at} ${JSON.stringify(run.columns)}`;
    if (entry.version !== version) {
      entry.version = version;
      this.wanted.set(run.run, run);
      const restMs = Math.max(GATHER_MS, entry.readMs + AGAIN_MS - Date.now());
      if (entry.readMs === 0) this.readIn(GATHER_MS);
      else this.timer ??= setTimeout(() => void this.read(), restMs);
    }
    return entry.spark;
  }

  /** Read soon, even if a later moment was planned: a row that came into sight has no picture yet. */
  private readIn(ms: number): void {
    if (this.timer !== null) clearTimeout(this.timer);
    this.timer = setTimeout(() => void this.read(), ms);
  }

  private async read(): Promise<void> {
    this.timer = null;
    const runs = [...this.wanted.keys()].slice(0, AT_ONCE);
    for (const run of runs) {
      this.wanted.delete(run);
      const entry = this.entries.get(run);
      if (entry !== undefined) entry.readMs = Date.now();
    }
    if (this.wanted.size > 0) this.readIn(GATHER_MS);
    try {
      const found = await this.series({ runs, max_points: BUCKETS });
      for (const series of found) this.put(series.run, sparkOf(series));
      const broken = found.filter((series) => lastIsNan(series) && !sparkOf(series).isExact);
      await Promise.all(broken.slice(0, 20).map((series) => this.sharpen(series)));
    } catch {
      // Small pictures: a row without one says no wrong thing, and the next change of the run asks again.
      for (const run of runs) {
        const entry = this.entries.get(run);
        if (entry !== undefined) entry.version = "";
      }
    }
  }

  /** Find the very step of the first NaN of the end: it is in the last bucket that has a number, or right behind it. */
  private async sharpen(series: Series): Promise<void> {
    let spark = sparkOf(series);
    let finest = series;
    // Each turn looks at the last bucket that has a number, and at all behind it: a few turns end at single steps.
    for (let turn = 0; turn < 6 && lastIsNan(finest) && !spark.isExact; turn += 1) {
      const [finer] = await this.series({ runs: [series.run], max_points: SEARCH_BUCKETS, x_from: lastNumber(finest) });
      if (finer === undefined) return;
      const { nanSince, isExact } = sparkOf(finer);
      spark = { ...spark, nanSince, isExact };
      finest = finer;
    }
    this.put(series.run, spark);
  }

  private put(run: string, spark: Spark): void {
    const entry = this.entries.get(run);
    if (entry !== undefined) entry.spark.value = spark;
  }

  private async series(more: object): Promise<readonly Series[]> {
    const body = { metrics: [exact(this.metric)], ...more };
    return (await this.client.json<{ readonly series: readonly Series[] }>("/api/v1/charts", { body })).series;
  }
}

/** Whether the curve may end with NaN: its last bucket has one. */
function lastIsNan(series: Series): boolean {
  return (series.nan_count.at(-1) ?? 0) > 0;
}

/** Where the last bucket begins that has a number; the beginning of the curve if none has. */
function lastNumber(series: Series): number {
  for (let at = series.x.length - 1; at >= 0; at -= 1) {
    if ((series.nan_count[at] ?? 0) < (series.count[at] ?? 0)) return series.x[at] ?? 0;
  }
  return series.x[0] ?? 0;
}

/** Pure. */
export function sparkOf(series: Series): Spark {
  const min = series.min.map((value) => numberOf(value) ?? Number.NaN);
  const max = series.max.map((value) => numberOf(value) ?? Number.NaN);
  let at = series.x.length;
  while (at > 0 && series.nan_count[at - 1] === series.count[at - 1]) at -= 1;
  const isMixed = at > 0 && (series.nan_count[at - 1] ?? 0) > 0;
  const first = isMixed ? at - 1 : at;
  const ends = at < series.x.length;
  return {
    x: series.x,
    min,
    max,
    nanSince: ends ? (series.x[first] ?? null) : null,
    isExact: ends && !isMixed,
  };
}
