import { type Client, segment } from "./client.ts";
import { runPath } from "./details.ts";
import type { Logged } from "./types.ts";

/** Artifacts, their versions, and what these were made of (docs/artifacts.md). */
export interface Artifact {
  readonly artifact: string;
  readonly workspace: string;
  /** Null: it is of the whole workspace. */
  readonly project: string | null;
  readonly artifact_type: string;
  readonly name: string;
  readonly description: string;
  readonly notes: string;
  readonly tags: readonly string[];
  readonly created_at: string;
  readonly updated_at: string;
  readonly versions: number;
  readonly latest_ordinal: number | null;
  readonly latest_version: string | null;
}

export interface ArtifactVersion {
  readonly artifact: string;
  readonly ordinal: number;
  readonly version: string;
  readonly comment: string;
  readonly status: string;
  readonly tags: readonly string[];
  readonly aliases: readonly string[];
  readonly stages: readonly string[];
  readonly run: string | null;
  readonly files: number;
  readonly size_bytes: number;
  readonly created_at: string;
  readonly updated_at: string;
  readonly remarks: number;
  readonly open: boolean;
}

export interface RunArtifact extends ArtifactVersion {
  readonly workspace: string;
  readonly project: string | null;
  readonly artifact_type: string;
  readonly name: string;
}

export interface ArtifactFile {
  readonly name: string;
  readonly sha256: string | null;
  readonly size_bytes: number;
  readonly content_type: string;
  readonly link: string | null;
  readonly added_at: string | null;
}

export interface VersionDetail {
  readonly version: ArtifactVersion;
  readonly metadata: Logged;
  readonly files: readonly ArtifactFile[];
}

export interface LineageRun {
  readonly run: string;
  readonly workspace: string | null;
  readonly project: string | null;
  readonly name: string | null;
  readonly status: string | null;
  readonly deleted: boolean;
  readonly distance: number;
}

export interface LineageVersion {
  readonly artifact: string;
  readonly ordinal: number;
  readonly version: string;
  readonly workspace: string;
  readonly project: string | null;
  readonly artifact_type: string;
  readonly name: string;
  readonly distance: number;
}

export interface Lineage {
  readonly runs: readonly LineageRun[];
  readonly versions: readonly LineageVersion[];
  readonly edges: readonly {
    readonly kind: "made" | "used";
    readonly run: string;
    readonly artifact: string;
    readonly ordinal: number;
  }[];
  /** Why it is not whole; empty: it is. */
  readonly cut: readonly ("depth" | "edges" | "nodes")[];
}

/** What a lineage begins at. */
export type LineageStart = { readonly run: string } | { readonly artifact: string; readonly ordinal: number };

const ARTIFACTS = "/api/v1/artifacts";

function versionPath(artifact: string, ordinal: number): string {
  return `${ARTIFACTS}/${segment(artifact)}/versions/${ordinal}`;
}

export async function artifactsOfRun(client: Client, run: string, signal?: AbortSignal): Promise<readonly RunArtifact[]> {
  const found = await client.json<{ readonly versions: readonly RunArtifact[] }>(`${runPath(run)}/artifacts`, { signal });
  return found.versions;
}

export function lineageOf(client: Client, start: LineageStart, depth: number, signal?: AbortSignal): Promise<Lineage> {
  const path = "run" in start ? runPath(start.run) : versionPath(start.artifact, start.ordinal);
  return client.json<Lineage>(`${path}/lineage`, { query: { depth }, signal });
}

interface Place {
  readonly workspace: string;
  readonly project: string;
}

/** Read a page of the artifacts of a project. */
export function artifactsOf(client: Client, { workspace, project }: Place, cursor: string | null, signal?: AbortSignal) {
  const query = { workspace, project, limit: 500, cursor };
  return client.json<{ readonly artifacts: readonly Artifact[]; readonly next_cursor: string | null }>(ARTIFACTS, { query, signal });
}

export function artifactOf(client: Client, artifact: string, signal?: AbortSignal): Promise<Artifact> {
  return client.json<Artifact>(`${ARTIFACTS}/${segment(artifact)}`, { signal });
}

/** Read a page of an artifact's versions, the newest first. */
export function versionsOf(client: Client, artifact: string, cursor: string | null, signal?: AbortSignal) {
  const path = `${ARTIFACTS}/${segment(artifact)}/versions`;
  const query = { limit: 200, cursor };
  return client.json<{ readonly versions: readonly ArtifactVersion[]; readonly next_cursor: string | null }>(path, { query, signal });
}

export function versionOf(client: Client, artifact: string, ordinal: number, signal?: AbortSignal): Promise<VersionDetail> {
  return client.json<VersionDetail>(versionPath(artifact, ordinal), { signal });
}
