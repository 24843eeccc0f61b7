import type { Lineage, LineageRun, LineageStart, LineageVersion } from "../data/artifacts.ts";
import { addressOf } from "./routes.ts";

/** A lineage as a graph to be drawn. Pure. */
export interface LineageNode {
  readonly id: string;
  readonly level: number;
  readonly title: string;
  readonly about: string;
  readonly kind: "run" | "version";
  readonly to: string | null;
  readonly isStart: boolean;
}

export interface LineageLine {
  readonly from: string;
  readonly to: string;
  readonly kind: "made" | "used";
}

export function graphOf(lineage: Lineage, start: LineageStart): { readonly nodes: readonly LineageNode[]; readonly edges: readonly LineageLine[] } {
  const first = "run" in start ? runId(start.run) : versionId(start.artifact, start.ordinal);
  const nodes = [...lineage.runs.map(runNode), ...lineage.versions.map(versionNode)].map((node) => ({ ...node, isStart: node.id === first }));
  const edges = lineage.edges.map(({ kind, run, artifact, ordinal }): LineageLine => {
    const [one, other] = [runId(run), versionId(artifact, ordinal)];
    // Data go from a version to the run that used it, and from a run to the version that it made.
    return kind === "used" ? { from: other, to: one, kind } : { from: one, to: other, kind };
  });
  return { nodes, edges };
}

function runId(run: string): string {
  return `run ${run}`;
}

function versionId(artifact: string, ordinal: number): string {
  return `version ${ordinal} ${artifact}`;
}

function runNode({ run, workspace, project, name, status, deleted, distance }: LineageRun): Omit<LineageNode, "isStart"> {
  const to = workspace === null || project === null ? null : addressOf(workspace, project, run);
  const about = deleted ? "deleted run" : `run, ${status ?? "not known"}`;
  return { id: runId(run), level: distance, title: name ?? run, about, kind: "run", to };
}

function versionNode(one: LineageVersion): Omit<LineageNode, "isStart"> {
  const { artifact, ordinal, version, workspace, project, artifact_type: type, name, distance } = one;
  const to = project === null ? null : versionAddress(workspace, project, artifact, ordinal);
  return { id: versionId(artifact, ordinal), level: distance, title: name, about: `${type}, version ${version}`, kind: "version", to };
}

/** The address of a version of an artifact of a project. */
export function versionAddress(workspace: string, project: string, artifact: string, ordinal: number): string {
  return `${addressOf(workspace, project, "-", "artifacts")}?artifact=${encodeURIComponent(artifact)}&version=${ordinal}`;
}
