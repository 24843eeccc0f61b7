import { artifactOf, type ArtifactVersion, lineageOf, versionOf, versionsOf } from "../../data/artifacts.ts";
import { messageOf } from "../../data/problem.ts";
import { textOfBytes, textOfCount, textOfMoment } from "../../data/values.ts";
import { useLoaded } from "../../state/loading.ts";
import { useServices } from "../../state/services.ts";
import { useDownload } from "../../ui/downloading.ts";
import { LineageGraph } from "../../ui/graph/LineageGraph.tsx";
import { Notice } from "../../ui/Notice.tsx";
import { SmallTable } from "../../ui/SmallTable.tsx";

interface ArtifactPartProps {
  readonly artifact: string;
  /** The version that is shown; 0: the newest. */
  readonly ordinal: number;
  readonly onVersion: (ordinal: number) => void;
}

/** Levels of the graph in each direction. */
const DEPTH = 6;
const AGAIN_MS = 10_000;
const TITLES = ["Version", "Aliases", "Stages", "Tags", "Comment", "Files", "Size", "Created"];

/** One artifact: its versions, and one of them with its files and where it came from. */
export function ArtifactPart({ artifact, ordinal, onVersion }: ArtifactPartProps) {
  const { client } = useServices();
  const about = useLoaded((signal) => artifactOf(client, artifact, signal), artifact, AGAIN_MS);
  const versions = useLoaded((signal) => versionsOf(client, artifact, null, signal), artifact, AGAIN_MS);
  const found = about.value.value;
  const error = about.error.value ?? versions.error.value;
  const rows = versions.value.value?.versions ?? [];
  const shown = ordinal === 0 ? (found?.latest_ordinal ?? 0) : ordinal;
  return (
    <>
      {error === null ? null : <Notice kind="bad">{messageOf(error)}</Notice>}
      {found === null ? null : (
        <header>
          <h1>{found.name}</h1>
          <p class="soft">
            {found.artifact_type}, {textOfCount(found.versions)} {found.versions === 1 ? "version" : "versions"}
          </p>
          {found.description === "" ? null : <p>{found.description}</p>}
        </header>
      )}
      {rows.length === 0 ? null : <Versions rows={rows} shown={shown} onVersion={onVersion} />}
      {versions.value.value?.next_cursor == null ? null : <p class="soft">Older versions: `runstream artifacts NAME` lists all.</p>}
      {shown === 0 ? null : <Version key={shown} artifact={artifact} ordinal={shown} />}
    </>
  );
}

interface VersionsProps {
  readonly rows: readonly ArtifactVersion[];
  readonly shown: number;
  readonly onVersion: (ordinal: number) => void;
}

function Versions({ rows, shown, onVersion }: VersionsProps) {
  return (
    <SmallTable label="Versions" titles={TITLES}>
      {rows.map((one) => (
        <tr key={one.ordinal} class={one.ordinal === shown ? "row-lit" : ""}>
          <td>
            <button
              type="button"
              class="quiet"
              aria-current={one.ordinal === shown ? "true" : undefined}
              onClick={() => onVersion(one.ordinal)}
            >
              {one.version}
            </button>
          </td>
          <td>{one.aliases.join(", ")}</td>
          <td>{one.stages.join(", ")}</td>
          <td>{one.tags.join(", ")}</td>
          <td>{one.comment}</td>
          <td>{textOfCount(one.files)}</td>
          <td>{textOfBytes(one.size_bytes)}</td>
          <td>{textOfMoment(one.created_at)}</td>
        </tr>
      ))}
    </SmallTable>
  );
}

function Version({ artifact, ordinal }: { readonly artifact: string; readonly ordinal: number }) {
  const { client } = useServices();
  const detail = useLoaded((signal) => versionOf(client, artifact, ordinal, signal), `${artifact} ${ordinal}`);
  const lineage = useLoaded((signal) => lineageOf(client, { artifact, ordinal }, DEPTH, signal), `${artifact} ${ordinal}`);
  const { download, failed } = useDownload();
  const error = detail.error.value ?? lineage.error.value;
  const found = detail.value.value;
  const graph = lineage.value.value;
  const metadata = found?.metadata ?? null;
  return (
    <>
      {error === null ? null : <Notice kind="bad">{messageOf(error)}</Notice>}
      {failed.value === null ? null : <Notice kind="bad">{failed.value}</Notice>}
      {graph === null ? null : (
        <>
          <h2>Lineage</h2>
          <LineageGraph label="Lineage of the version" lineage={graph} start={{ artifact, ordinal }} />
        </>
      )}
      {found === null ? null : (
        <>
          <h2>Files of version {found.version.version}</h2>
          <ul class="artifact-files">
            {found.files.map((file) => (
              <li key={file.name}>
                <button type="button" class="quiet ellipsis" title={file.link ?? file.name} onClick={() => void download({ artifact, ordinal, name: file.name }, file.name)}>
                  {file.name}
                </button>
                <span class="soft">
                  {textOfBytes(file.size_bytes)} {file.content_type}
                </span>
              </li>
            ))}
          </ul>
          {metadata === null || JSON.stringify(metadata) === "{}" ? null : (
            <>
              <h2>Metadata</h2>
              <pre class="artifact-metadata">{JSON.stringify(metadata, null, 2)}</pre>
            </>
          )}
        </>
      )}
    </>
  );
}
