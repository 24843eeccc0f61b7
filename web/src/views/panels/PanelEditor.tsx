import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";

import { codeOf, keepCode } from "../../data/panels.ts";
import { isAborted, messageOf } from "../../data/problem.ts";
import { useServices } from "../../state/services.ts";
import { Notice } from "../../ui/Notice.tsx";
import { PanelFrame } from "./PanelFrame.tsx";

interface PanelEditorProps {
  readonly workspace: string;
  readonly project: string;
  /** Empty: a new panel. */
  readonly name: string;
  readonly version: string;
  readonly filter: string;
  readonly onKept: (name: string) => void;
}

/** What a new panel begins with: it runs as it stands. */
const BEGINNING = `import streamlit as st
from runstream import API

api = API()
runs = api.get_panel_experiments()
st.title(f"{len(runs)} runs")
metric = st.selectbox("Metric", api.get_panel_metrics_names())
st.dataframe(runs.to_pandas()[["name", "status", "user", "duration_s"]])
`;

/** The code of a panel beside what it shows. */
export function PanelEditor({ workspace, project, name, version, filter, onKept }: PanelEditorProps) {
  const { client } = useServices();
  const place = { workspace, project };
  const source = useSignal(name === "" ? BEGINNING : "");
  const shown = useSignal<string | null>(null);
  const title = useSignal(name);
  const comment = useSignal("");
  const failed = useSignal<string | null>(null);
  useEffect(() => {
    if (name === "") return undefined;
    const ending = new AbortController();
    codeOf(client, place, name, version, ending.signal).then(
      (code) => {
        source.value = code.source;
      },
      (error: unknown) => {
        if (!isAborted(error)) failed.value = messageOf(error);
      },
    );
    return () => ending.abort();
  }, [name, version]);
  const keep = async () => {
    failed.value = null;
    try {
      await keepCode(client, place, title.value.trim(), source.value, comment.value.trim());
      onKept(title.value.trim());
    } catch (error) {
      failed.value = messageOf(error);
    }
  };
  return (
    <div class="panel-editor">
      <div class="panel-code">
        {failed.value === null ? null : <Notice kind="bad">{failed.value}</Notice>}
        <textarea
          aria-label="The code of the panel"
          spellcheck={false}
          value={source.value}
          onInput={(event) => {
            source.value = event.currentTarget.value;
          }}
          onKeyDown={(event) => {
            if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) shown.value = source.value;
          }}
        />
        <div class="panel-actions">
          <button type="button" class="plain-button" title="Ctrl Enter" onClick={() => (shown.value = source.value)}>
            Preview
          </button>
          <input
            type="text"
            aria-label="Name of the panel"
            placeholder="Name"
            value={title.value}
            disabled={name !== ""}
            onInput={(event) => {
              title.value = event.currentTarget.value;
            }}
          />
          <input
            type="text"
            aria-label="What is new in this version"
            placeholder="What is new"
            value={comment.value}
            onInput={(event) => {
              comment.value = event.currentTarget.value;
            }}
          />
          <button type="button" class="main" disabled={title.value.trim() === "" || source.value.trim() === ""} onClick={() => void keep()}>
            Save as a new version
          </button>
        </div>
      </div>
      {shown.value === null ? (
        <Notice kind="quiet">Preview shows here what the code does, before it is saved.</Notice>
      ) : (
        <PanelFrame workspace={workspace} project={project} shown={{ kind: "preview", source: shown.value }} filter={filter} />
      )}
    </div>
  );
}
