import { ARROW, type Client } from "./client.ts";

/** Which curves a chart has, and how finely. */
export interface ChartQuestion {
  readonly runs: readonly string[];
  readonly metrics: readonly string[];
  /** The axis as the API names it: "step", "relative", "time", "metric:NAME", ... */
  readonly x: string;
  /** Places on the axis; null: everything. */
  readonly range: readonly [number, number] | null;
  /** Buckets a curve at most. */
  readonly points: number;
  readonly asOf: string | null;
}

/** What a server answers in one request at most; the API allows so many runs, and so many metrics. */
export const MOST_RUNS = 1000;

export interface ChartAnswer {
  /** Of runs an Arrow stream, of groups JSON, as docs/api.md describes them under "Charts". */
  readonly stream: ArrayBuffer;
  readonly position: string | null;
}

/** Ask for curves: POST /api/v1/charts. */
export async function chartsOf(client: Client, question: ChartQuestion, signal: AbortSignal): Promise<ChartAnswer> {
  return streamOf(client, "/api/v1/charts", bodyOf(question), signal, ARROW);
}

/** Ask for curves of groups of runs: POST /api/v1/charts/groups. `by`: fields of the filter language. */
export async function groupsOf(
  client: Client,
  question: ChartQuestion,
  by: readonly string[],
  signal: AbortSignal,
): Promise<ChartAnswer> {
  return streamOf(client, "/api/v1/charts/groups", { ...bodyOf(question), group_by: by }, signal, "application/json");
}

function bodyOf(question: ChartQuestion): object {
  const { runs, metrics, x, range, points, asOf } = question;
  return {
    runs: runs.slice(0, MOST_RUNS),
    metrics: metrics.map(exact),
    x,
    max_points: Math.max(2, Math.round(points)),
    ...(range === null ? {} : { x_from: Math.floor(range[0]), x_to: Math.ceil(range[1]) }),
    ...(asOf === null ? {} : { as_of: asOf }),
  };
}

async function streamOf(
  client: Client,
  path: string,
  body: object,
  signal: AbortSignal,
  accept: string,
): Promise<ChartAnswer> {
  const { value, position } = await client.bytesAt(path, { body, signal, accept });
  return { stream: value, position };
}

/** Write a name so that it is no glob: `m*` as `m[*]`. */
export function exact(name: string): string {
  return name.replace(/[*?[]/g, "[$&]");
}
