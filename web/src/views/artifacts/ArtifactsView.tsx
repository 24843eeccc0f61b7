import { useEffect, useMemo } from "preact/hooks";

import { type Artifact, artifactsOf } from "../../data/artifacts.ts";
import { messageOf } from "../../data/problem.ts";
import { textOfCount } from "../../data/values.ts";
import { number, Param, text } from "../../state/address.ts";
import { useLoaded } from "../../state/loading.ts";
import { useServices } from "../../state/services.ts";
import { Notice } from "../../ui/Notice.tsx";
import { ArtifactPart } from "./ArtifactPart.tsx";

interface ArtifactsViewProps {
  readonly workspace: string;
  readonly project: string;
}

const AGAIN_MS = 10_000;

/** The artifacts of a project by type: models, data sets, panels, with their versions and where these came from. */
export function ArtifactsView({ workspace, project }: ArtifactsViewProps) {
  const { client, address } = useServices();
  const state = useMemo(
    () => ({
      artifact: new Param(address, "artifact", text()),
      version: new Param(address, "version", number(0, 0, Number.MAX_SAFE_INTEGER)),
      search: new Param(address, "search", text()),
    }),
    [],
  );
  const place = { workspace, project };
  const found = useLoaded((signal) => artifactsOf(client, place, null, signal), JSON.stringify(place), AGAIN_MS);
  const error = found.error.value;
  const all = found.value.value;
  const word = state.search.value.toLowerCase();
  const shown = (all?.artifacts ?? []).filter((one) => `${one.name} ${one.artifact_type}`.toLowerCase().includes(word));
  const chosen = state.artifact.value;
  useEffect(() => {
    document.title = `Artifacts of ${project} · Runstream`;
  }, []);
  return (
    <main class="panels" id="view">
      <nav class="panel-list" aria-label="Artifacts">
        <input
          type="search"
          aria-label="Find an artifact"
          placeholder="Find an artifact"
          value={state.search.value}
          onInput={(event) => state.search.set(event.currentTarget.value, "replace")}
        />
        {[...byType(shown)].map(([type, artifacts]) => (
          <section key={type} aria-label={type}>
            <h2 class="artifact-type">{type}</h2>
            <ul>
              {artifacts.map((one) => (
                <li key={one.artifact}>
                  <button
                    type="button"
                    class="quiet ellipsis"
                    aria-current={one.artifact === chosen ? "true" : undefined}
                    title={one.description === "" ? one.name : one.description}
                    onClick={() => address.change({ ...state.artifact.with(one.artifact), ...state.version.with(0) })}
                  >
                    {one.name}
                  </button>
                  <span class="soft">{textOfCount(one.versions)}</span>
                </li>
              ))}
            </ul>
          </section>
        ))}
        {all !== null && all.next_cursor !== null ? (
          <p class="soft">These are the first {textOfCount(all.artifacts.length)}: `runstream artifacts` lists all.</p>
        ) : null}
      </nav>
      <div class="artifact-body">
        {error === null ? null : <Notice kind="bad">{messageOf(error)}</Notice>}
        {all?.artifacts.length === 0 ? (
          <Notice kind="quiet">This project has no artifacts. `api.log_artifact_version` keeps models and data sets with versions.</Notice>
        ) : null}
        {chosen === "" ? null : (
          <ArtifactPart
            key={chosen}
            artifact={chosen}
            ordinal={state.version.value}
            onVersion={(ordinal) => state.version.set(ordinal)}
          />
        )}
      </div>
    </main>
  );
}

function byType(artifacts: readonly Artifact[]): ReadonlyMap<string, readonly Artifact[]> {
  const found = new Map<string, Artifact[]>();
  for (const one of artifacts) {
    const same = found.get(one.artifact_type);
    if (same === undefined) found.set(one.artifact_type, [one]);
    else same.push(one);
  }
  return found;
}
