import { artifactsOfRun, type Lineage, type LineageVersion, lineageOf, type RunArtifact } from "../../../data/artifacts.ts";
import { messageOf } from "../../../data/problem.ts";
import { textOfBytes, textOfCount, textOfMoment } from "../../../data/values.ts";
import { useLoaded } from "../../../state/loading.ts";
import { useServices } from "../../../state/services.ts";
import { LineageGraph } from "../../../ui/graph/LineageGraph.tsx";
import { Notice } from "../../../ui/Notice.tsx";
import { SmallTable } from "../../../ui/SmallTable.tsx";
import { useRun } from "../context.ts";

/** Levels of the graph in each direction. */
const DEPTH = 6;
const SLOW_MS = 10_000;

/** The versions of artifacts that the run used and made, and what these came from and went into. */
export function ArtifactsTab() {
  const { client } = useServices();
  const { run, everyMs } = useRun();
  const every = everyMs === null ? null : SLOW_MS;
  const made = useLoaded((signal) => artifactsOfRun(client, run, signal), run, every);
  const lineage = useLoaded((signal) => lineageOf(client, { run }, DEPTH, signal), run, every);
  const error = lineage.error.value ?? made.error.value;
  const found = lineage.value.value;
  const used = found === null ? [] : usedBy(found, run);
  const isEmpty = found !== null && found.versions.length === 0 && made.value.value?.length === 0;
  return (
    <div class="artifacts-tab">
      {error === null ? null : <Notice kind="bad">{messageOf(error)}</Notice>}
      {isEmpty ? (
        <p class="waiting">This run made and used no artifacts. `api.log_artifact_version(..., run=...)` and `api.artifacts.mark_used` say so.</p>
      ) : found === null ? null : (
        <>
          <h2>Lineage</h2>
          <LineageGraph label="Lineage of the run" lineage={found} start={{ run }} />
          <Used versions={used} />
          <Made versions={made.value.value ?? []} />
        </>
      )}
    </div>
  );
}

function usedBy(lineage: Lineage, run: string): readonly LineageVersion[] {
  const keys = new Set(lineage.edges.filter((edge) => edge.kind === "used" && edge.run === run).map((edge) => `${edge.artifact} ${edge.ordinal}`));
  return lineage.versions.filter(({ artifact, ordinal }) => keys.has(`${artifact} ${ordinal}`));
}

function Used({ versions }: { readonly versions: readonly LineageVersion[] }) {
  if (versions.length === 0) return null;
  return (
    <section>
      <h2>Used</h2>
      <SmallTable label="Versions that the run used" titles={["Artifact", "Type", "Version"]}>
        {versions.map((one) => (
          <tr key={`${one.artifact} ${one.ordinal}`}>
            <td>{one.name}</td>
            <td>{one.artifact_type}</td>
            <td>{one.version}</td>
          </tr>
        ))}
      </SmallTable>
    </section>
  );
}

function Made({ versions }: { readonly versions: readonly RunArtifact[] }) {
  if (versions.length === 0) return null;
  return (
    <section>
      <h2>Made</h2>
      <SmallTable label="Versions that the run made" titles={["Artifact", "Type", "Version", "Aliases", "Stages", "Files", "Size", "Created"]}>
        {versions.map((one) => (
          <tr key={`${one.artifact} ${one.ordinal}`}>
            <td>{one.name}</td>
            <td>{one.artifact_type}</td>
            <td>{one.version}</td>
            <td>{one.aliases.join(", ")}</td>
            <td>{one.stages.join(", ")}</td>
            <td>{textOfCount(one.files)}</td>
            <td>{textOfBytes(one.size_bytes)}</td>
            <td>{textOfMoment(one.created_at)}</td>
          </tr>
        ))}
      </SmallTable>
    </section>
  );
}
