import { type Client, segment } from "./client.ts";
import type { Key, LoggedValue, RunDetail, Summary } from "./types.ts";

/** Requests about one run, or about a few of them (docs/api.md). `asOf`: a position or a time; null: now. */

/** What a run is read with. */
export interface When {
  readonly asOf: string | null;
  /** A position that the response must cover: what a command wrote is in it. */
  readonly waitFor?: string | null;
}

/** Names of logged values by kind, as the routes are named. */
export type ValueKind = "parameters" | "others" | "environment";

export interface HistoryEvent {
  readonly position: string;
  readonly writer: string;
  readonly seq: number;
  readonly at: string;
  readonly type: string;
  readonly event: Readonly<Record<string, unknown>>;
}

export interface History {
  readonly events: readonly HistoryEvent[];
  readonly next_cursor: string | null;
}

/** The address of a run in the API. */
export function runPath(run: string): string {
  return `/api/v1/runs/${segment(run)}`;
}

function past({ asOf, waitFor }: When): Record<string, string | null | undefined> {
  return { as_of: asOf, wait_for: waitFor };
}

export function detailOf(client: Client, run: string, when: When, signal?: AbortSignal): Promise<RunDetail> {
  return client.json<RunDetail>(runPath(run), { query: past(when), signal });
}

export async function valuesOf(
  client: Client,
  run: string,
  kind: ValueKind,
  when: When,
  signal?: AbortSignal,
): Promise<readonly LoggedValue[]> {
  const path = `${runPath(run)}/${kind}`;
  const found = await client.json<{ readonly values: readonly LoggedValue[] }>(path, { query: past(when), signal });
  return found.values;
}

/** Read the summaries of all metrics of runs. */
export async function summariesOf(
  client: Client,
  runs: readonly string[],
  when: When,
  signal?: AbortSignal,
): Promise<readonly Summary[]> {
  const body = { runs, ...(when.asOf === null ? {} : { as_of: when.asOf }) };
  const found = await client.json<{ readonly summaries: readonly Summary[] }>("/api/v1/summaries", { body, signal });
  return found.summaries;
}

/** Read a page of a run's control events, in the order of the log. */
export function historyOf(client: Client, run: string, cursor: string | null, signal?: AbortSignal): Promise<History> {
  return client.json<History>(`${runPath(run)}/history`, { query: { limit: 500, cursor }, signal });
}

export function keyOf(client: Client, signal?: AbortSignal): Promise<Key> {
  return client.json<Key>("/api/v1/key", { signal });
}
