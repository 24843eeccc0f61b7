import { exact, MOST_RUNS } from "./charts.ts";
import type { Client } from "./client.ts";
import type { JsonNumber } from "./types.ts";
import { numberOf } from "./values.ts";

/** A point as it was logged. */
export interface FoundPoint {
  readonly run: string;
  readonly metric: string;
  readonly step: number | null;
  /** Microseconds since 1970 UTC. */
  readonly at: number;
  readonly value: number;
}

interface Curve {
  readonly run: string;
  readonly metric: string;
  readonly steps: readonly (number | null)[];
  readonly at: readonly string[];
  readonly values: readonly JsonNumber[];
}

export interface PointQuestion {
  readonly runs: readonly string[];
  readonly metrics: readonly string[];
  readonly x: "step" | "time";
  readonly near: number;
  /** Only points of this part of the axis are looked at. */
  readonly range: readonly [number, number];
  readonly asOf: string | null;
}

/** Ask for the logged point of each series that is nearest to a place: POST /api/v1/points. */
export async function nearestPoints(client: Client, question: PointQuestion, signal: AbortSignal): Promise<readonly FoundPoint[]> {
  const { runs, metrics, x, near, range, asOf } = question;
  const body = {
    runs: runs.slice(0, MOST_RUNS),
    metrics: metrics.map(exact),
    x,
    near: Math.round(near),
    x_from: Math.floor(range[0]),
    x_to: Math.ceil(range[1]),
    ...(asOf === null ? {} : { as_of: asOf }),
  };
  const { curves } = await client.json<{ readonly curves: readonly Curve[] }>("/api/v1/points", { body, signal });
  return curves.flatMap(({ run, metric, steps, at, values }) => {
    const [step = null, moment, value] = [steps[0], at[0], numberOf(values[0])];
    return moment === undefined || value === null ? [] : [{ run, metric, step, at: microsOf(moment), value }];
  });
}

/** The microseconds of an ISO time: what Date.parse leaves out stands behind the milliseconds. */
function microsOf(moment: string): number {
  const fraction = /\.(\d+)/.exec(moment)?.[1] ?? "";
  return Date.parse(moment) * 1000 + Number(fraction.padEnd(6, "0").slice(3, 6));
}
