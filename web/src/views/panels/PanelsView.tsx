import { useSignal } from "@preact/signals";
import { useEffect, useMemo } from "preact/hooks";

import { codeOf, panelServer, panelsOf } from "../../data/panels.ts";
import { messageOf } from "../../data/problem.ts";
import { textOfAge, textOfMoment } from "../../data/values.ts";
import { flag, Param, text } from "../../state/address.ts";
import { useLast, useLoaded } from "../../state/loading.ts";
import { useServices } from "../../state/services.ts";
import { nowMs } from "../../ui/Clock.ts";
import { Notice } from "../../ui/Notice.tsx";
import { PanelEditor } from "./PanelEditor.tsx";
import { PanelFrame } from "./PanelFrame.tsx";

interface PanelsViewProps {
  readonly workspace: string;
  readonly project: string;
}

/** The panels of a project: programs that show something about its runs. */
export function PanelsView({ workspace, project }: PanelsViewProps) {
  const { client, address } = useServices();
  const state = useMemo(
    () => ({
      panel: new Param(address, "panel", text()),
      version: new Param(address, "version", text()),
      edit: new Param(address, "edit", flag),
      filter: new Param(address, "filter", text()),
    }),
    [],
  );
  const { panel: chosen, version, edit, filter } = state;
  const name = chosen.value;
  const place = { workspace, project };
  const key = JSON.stringify(place);
  // A panel that was saved has another newest version: everything is read again.
  const saved = useSignal(0);
  const panels = useLoaded((signal) => panelsOf(client, place, signal), `${key} ${saved.value}`);
  const listed = useLast(panels.value.value).value;
  const server = useLoaded((signal) => panelServer(client, signal), key);
  const code = useLoaded(
    (signal) => (name === "" ? Promise.resolve(null) : codeOf(client, place, name, "", signal)),
    JSON.stringify([key, name, saved.value]),
  );
  const why = server.value.value?.enabled === false ? server.value.value.reason : null;
  const error = panels.error.value ?? server.error.value ?? code.error.value;
  useEffect(() => {
    document.title = `Panels of ${project} · Runstream`;
  }, []);
  return (
    <main class="panels" id="view">
      <nav class="panel-list" aria-label="Panels">
        <button type="button" class="plain-button" onClick={() => address.change({ panel: null, version: null, edit: "1" })}>
          New panel
        </button>
        <ul>
          {(listed ?? []).map((panel) => (
            <li key={panel.name}>
              <button
                type="button"
                class="quiet ellipsis"
                aria-current={panel.name === name ? "true" : undefined}
                title={panel.description === "" ? panel.name : panel.description}
                onClick={() => address.change({ panel: panel.name, version: null, edit: null })}
              >
                {panel.name}
              </button>
              <span class="soft" title={textOfMoment(panel.updated_at)}>
                {textOfAge(panel.updated_at, nowMs.value)}
              </span>
            </li>
          ))}
        </ul>
      </nav>
      <div class="panel-body">
        {error === null ? null : <Notice kind="bad">{messageOf(error)}</Notice>}
        {why === null ? null : <Notice kind="warn">{why}</Notice>}
        {listed?.length === 0 && name === "" && !edit.value ? (
          <Notice kind="quiet">
            No panels yet. A panel is a Python file that uses Streamlit or runstream.ui; panels of another tracker run as they are.
          </Notice>
        ) : null}
        {name === "" ? null : (
          <div class="bar">
            <h1 class="ellipsis">{name}</h1>
            <label>
              Version{" "}
              <select
                aria-label="Version of the panel"
                value={version.value}
                onChange={(event) => version.set(event.currentTarget.value)}
              >
                <option value="">newest</option>
                {(code.value.value?.versions ?? []).map((one) => (
                  <option key={one.version} value={one.version}>
                    {one.comment === "" ? one.version : `${one.version}: ${one.comment.slice(0, 60)}`}
                  </option>
                ))}
              </select>
            </label>
            <button type="button" class="plain-button" aria-pressed={edit.value} onClick={() => edit.set(!edit.value)}>
              {edit.value ? "Show" : "Edit"}
            </button>
          </div>
        )}
        {edit.value ? (
          <PanelEditor
            key={`${name} ${version.value}`}
            workspace={workspace}
            project={project}
            name={name}
            version={version.value}
            filter={filter.value}
            onKept={(kept) => {
              saved.value += 1;
              address.change({ panel: kept, version: null, edit: null });
            }}
          />
        ) : name === "" || why !== null ? null : (
          <PanelFrame
            key={saved.value}
            workspace={workspace}
            project={project}
            shown={{ kind: "kept", name, version: version.value }}
            filter={filter.value}
          />
        )}
      </div>
    </main>
  );
}
