import { useSignal } from "@preact/signals";

import { command, type RunCommand } from "../../data/commands.ts";
import { messageOf } from "../../data/problem.ts";
import { colourOf } from "../../state/colours.ts";
import { addressOf } from "../../state/routes.ts";
import { useServices } from "../../state/services.ts";
import { Copy } from "../../ui/Copy.tsx";
import { Dialog } from "../../ui/Dialog.tsx";
import { Notice } from "../../ui/Notice.tsx";
import { Status } from "../../ui/Status.tsx";
import { useRun } from "./context.ts";

const LONGEST_NAME = 250;

/** The run's name and status, and what a person may do with it. */
export function RunHead() {
  const { theme, address } = useServices();
  const { detail, state, mayEdit } = useRun();
  const { run } = detail;
  const asOf = state.asOf.value;
  const dark = theme.shade.value === "dark";
  return (
    <header class="run-head">
      <div class="run-title">
        <span class="swatch" aria-hidden="true" ref={(element) => element?.style.setProperty("--swatch", colourOf(run.run, dark))} />
        <h1 title={run.name}>{run.name}</h1>
        <Status status={run.status} message={run.message} />
        {run.archived ? <span class="tag">archived</span> : null}
        <Copy label="Copy id" title={run.run} text={() => run.run} />
        {mayEdit ? <Actions /> : null}
      </div>
      {run.deleted ? (
        <Notice kind="warn">
          This run was deleted: lists do not show it. {mayEdit ? "Restore brings it back with all that it has." : ""}
        </Notice>
      ) : null}
      {asOf === "" ? null : (
        <Notice kind="quiet">
          As it was at {asOf}.{" "}
          <button type="button" class="plain-button" onClick={() => state.asOf.set("")}>
            Show the present
          </button>
        </Notice>
      )}
      {run.workspace === "" || address.path.value.startsWith(addressOf(run.workspace, run.project)) ? null : (
        <Notice kind="quiet">
          It is in {run.workspace}/{run.project} now.
        </Notice>
      )}
    </header>
  );
}

function Actions() {
  const { client } = useServices();
  const { detail, run, refresh } = useRun();
  const asked = useSignal<"rename" | "delete" | null>(null);
  const failed = useSignal<string | null>(null);
  const isBusy = useSignal(false);
  const send = async (event: RunCommand) => {
    isBusy.value = true;
    failed.value = null;
    try {
      await refresh(await command(client, run, [event]));
      asked.value = null;
    } catch (error) {
      failed.value = messageOf(error);
    } finally {
      isBusy.value = false;
    }
  };
  const { archived, deleted } = detail.run;
  const close = () => {
    asked.value = null;
    failed.value = null;
  };
  const trouble = failed.value === null ? null : <Notice kind="bad">{failed.value}</Notice>;
  return (
    <div class="run-actions">
      <button type="button" class="plain-button" onClick={() => (asked.value = "rename")}>
        Rename
      </button>
      {archived || deleted ? (
        <button type="button" class="plain-button" disabled={isBusy.value} onClick={() => void send({ type: "run_restored.v1" })}>
          Restore
        </button>
      ) : (
        <button
          type="button"
          class="plain-button"
          disabled={isBusy.value}
          title="Put it out of sight: lists leave it out unless they are asked for archived ones"
          onClick={() => void send({ type: "run_archived.v1" })}
        >
          Archive
        </button>
      )}
      {deleted ? null : (
        <button type="button" class="plain-button" onClick={() => (asked.value = "delete")}>
          Delete
        </button>
      )}
      {asked.value === null ? trouble : null}
      {asked.value === "rename" ? (
        <Rename name={detail.run.name} isBusy={isBusy.value} onClose={close} onName={(name) => void send({ type: "run_renamed.v1", name })}>
          {trouble}
        </Rename>
      ) : null}
      {asked.value === "delete" ? (
        <Dialog title={`Delete ${detail.run.name}?`} onClose={close}>
          <p>Lists and charts no longer show it. Its data stay in the log, and Restore on this page brings them back.</p>
          {trouble}
          <div class="dialog-ends">
            <button type="button" class="plain-button" onClick={close}>
              Keep it
            </button>
            <button type="button" class="danger" disabled={isBusy.value} onClick={() => void send({ type: "run_deleted.v1" })}>
              Delete
            </button>
          </div>
        </Dialog>
      ) : null}
    </div>
  );
}

interface RenameProps {
  readonly name: string;
  readonly isBusy: boolean;
  readonly onName: (name: string) => void;
  readonly onClose: () => void;
  readonly children: preact.ComponentChildren;
}

function Rename({ name, isBusy, onName, onClose, children }: RenameProps) {
  const typed = useSignal(name);
  const submit = (event: Event) => {
    event.preventDefault();
    const given = typed.value.trim();
    if (given !== "" && given !== name) onName(given);
    else onClose();
  };
  return (
    <Dialog title="Rename the run" onClose={onClose}>
      <form onSubmit={submit}>
        <input
          type="text"
          aria-label="Name"
          maxLength={LONGEST_NAME}
          autofocus
          value={typed.value}
          onInput={(event) => {
            typed.value = event.currentTarget.value;
          }}
        />
        {children}
        <div class="dialog-ends">
          <button type="button" class="plain-button" onClick={onClose}>
            Cancel
          </button>
          <button type="submit" class="main" disabled={isBusy}>
            Rename
          </button>
        </div>
      </form>
    </Dialog>
  );
}
