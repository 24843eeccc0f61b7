import type { Client } from "./client.ts";
import type { Project, Run, Runs } from "./types.ts";

/** How the server is doing. The disk is null in a cluster. */
export interface ServerStatus {
  readonly version: string;
  /** The position up to which everything is visible. */
  readonly visible: string;
  readonly lag_records: number;
  /** The dead letters: records that cannot be folded, and why. */
  readonly quarantined_records: number;
  readonly quarantined_by_cause: Readonly<Record<string, number>>;
  readonly disk_free_bytes: number | null;
  readonly disk_total_bytes: number | null;
}

export async function statusOf(client: Client, signal: AbortSignal): Promise<ServerStatus> {
  return client.json<ServerStatus>("/api/v1/server", { signal });
}

/** The projects of a workspace, or of all; what changed last stands first. */
export async function projectsOf(client: Client, workspace: string | null, signal: AbortSignal): Promise<readonly Project[]> {
  const { projects } = await client.json<{ readonly projects: readonly Project[] }>("/api/v1/projects", {
    query: { workspace },
    signal,
  });
  return [...projects].sort((one, other) => (other.updated_at ?? "").localeCompare(one.updated_at ?? ""));
}

/** The runs of a workspace, or of all, that began last. */
export async function newestRuns(client: Client, workspace: string | null, limit: number, signal: AbortSignal): Promise<readonly Run[]> {
  const { runs } = await client.json<Runs>("/api/v1/runs", { query: { workspace, sort: "-created", limit }, signal });
  return runs;
}
