import { useSignal } from "@preact/signals";

import { command } from "../../data/commands.ts";
import { messageOf } from "../../data/problem.ts";
import { useServices } from "../../state/services.ts";
import { Markdown } from "../../ui/markdown/Markdown.tsx";
import { Notice } from "../../ui/Notice.tsx";
import { useRun } from "./context.ts";

/** The run's notes in Markdown, shown, or in a field to be changed. */
export function Notes() {
  const { detail, mayEdit } = useRun();
  const isEdited = useSignal(false);
  const { notes } = detail.run;
  if (isEdited.value && mayEdit) return <Editor notes={notes} onDone={() => (isEdited.value = false)} />;
  return (
    <section>
      <div class="section-head">
        <h2>Notes</h2>
        {mayEdit ? (
          <button type="button" class="plain-button" onClick={() => (isEdited.value = true)}>
            Edit
          </button>
        ) : null}
      </div>
      {notes === "" ? <p class="soft">Nothing is noted.</p> : <Markdown text={notes} />}
    </section>
  );
}

interface EditorProps {
  readonly notes: string;
  readonly onDone: () => void;
}

function Editor({ notes, onDone }: EditorProps) {
  const { client } = useServices();
  const { run, refresh } = useRun();
  const began = useSignal(notes);
  const typed = useSignal(notes);
  const isBusy = useSignal(false);
  const failed = useSignal<string | null>(null);
  const save = async () => {
    isBusy.value = true;
    try {
      await refresh(await command(client, run, [{ type: "run_notes_set.v1", notes: typed.value }]));
      onDone();
    } catch (error) {
      failed.value = messageOf(error);
      isBusy.value = false;
    }
  };
  return (
    <section>
      <h2 id="notes-title">Notes</h2>
      {notes === began.value ? null : (
        <Notice kind="warn">
          Somebody changed the notes meanwhile. Saving replaces what they wrote.{" "}
          <button type="button" class="plain-button" onClick={() => (began.value = typed.value = notes)}>
            Take theirs
          </button>
        </Notice>
      )}
      <textarea
        class="notes-field"
        aria-labelledby="notes-title"
        rows={12}
        autofocus
        value={typed.value}
        onInput={(event) => {
          typed.value = event.currentTarget.value;
        }}
        onKeyDown={(event) => {
          if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) void save();
        }}
      />
      {failed.value === null ? null : <Notice kind="bad">{failed.value}</Notice>}
      <div class="section-head">
        <button type="button" class="main" disabled={isBusy.value} onClick={() => void save()}>
          Save
        </button>
        <button type="button" class="plain-button" onClick={onDone}>
          Cancel
        </button>
        <span class="soft">Markdown. Ctrl+Enter saves.</span>
      </div>
      {typed.value === notes ? null : <Markdown text={typed.value} />}
    </section>
  );
}
