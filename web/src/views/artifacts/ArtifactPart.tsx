import { useSignal } from "@preact/signals";

import { artifactOf, type ArtifactFile, type ArtifactVersion, lineageOf, versionOf, versionsOf } from "../../data/artifacts.ts";
import { messageOf } from "../../data/problem.ts";
import { addressesOf } from "../../data/tickets.ts";
import { textOfBytes, textOfCount, textOfMoment } from "../../data/values.ts";
import { graphOf } from "../../state/lineage.ts";
import { useLoaded } from "../../state/loading.ts";
import { useServices } from "../../state/services.ts";
import { Graph } from "../../ui/graph/Graph.tsx";
import { Notice } from "../../ui/Notice.tsx";
import { saveAs } from "../../ui/saving.ts";

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
    <div class="scrolling" role="group" aria-label="Versions" tabIndex={0}>
      <table class="small-table">
        <thead>
          <tr>
            {TITLES.map((title) => (
              <th key={title} scope="col">
                {title}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
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
        </tbody>
      </table>
    </div>
  );
}

function Version({ artifact, ordinal }: { readonly artifact: string; readonly ordinal: number }) {
  const { client } = useServices();
  const detail = useLoaded((signal) => versionOf(client, artifact, ordinal, signal), `${artifact} ${ordinal}`);
  const lineage = useLoaded((signal) => lineageOf(client, { artifact, ordinal }, DEPTH, signal), `${artifact} ${ordinal}`);
  const failed = useSignal<string | null>(null);
  const error = detail.error.value ?? lineage.error.value;
  const found = detail.value.value;
  const graph = lineage.value.value;
  const download = async (file: ArtifactFile) => {
    try {
      const address = await addressesOf(client).of({ artifact, ordinal, name: file.name });
      failed.value = address === null ? `The bytes of ${file.name} are not on the server.` : null;
      if (address !== null) saveAs(address, file.name);
    } catch (reason) {
      failed.value = messageOf(reason);
    }
  };
  const metadata = found?.metadata ?? null;
  return (
    <>
      {error === null ? null : <Notice kind="bad">{messageOf(error)}</Notice>}
      {failed.value === null ? null : <Notice kind="bad">{failed.value}</Notice>}
      {graph === null ? null : (
        <>
          <h2>Lineage</h2>
          <Graph label="Lineage of the version" {...graphOf(graph, { artifact, ordinal })} />
          {graph.cut.length === 0 ? null : <Notice kind="quiet">The graph goes on: only the nearest runs and versions are drawn.</Notice>}
        </>
      )}
      {found === null ? null : (
        <>
          <h2>Files of version {found.version.version}</h2>
          <ul class="artifact-files">
            {found.files.map((file) => (
              <li key={file.name}>
                <button type="button" class="quiet ellipsis" title={file.link ?? file.name} onClick={() => void download(file)}>
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
