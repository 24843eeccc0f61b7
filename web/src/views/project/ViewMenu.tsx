import { useSignal } from "@preact/signals";

import { messageOf } from "../../data/problem.ts";
import { deleteView, queryOfView, type SavedView, savedViews, saveView } from "../../data/savedViews.ts";
import { textOfAge } from "../../data/values.ts";
import { useLoaded } from "../../state/loading.ts";
import { useServices } from "../../state/services.ts";
import { nowMs } from "../../ui/Clock.ts";
import { Menu } from "../../ui/Menu.tsx";
import { Notice } from "../../ui/Notice.tsx";

interface ViewMenuProps {
  readonly workspace: string;
  readonly project: string;
}

/** Opens and saves views of the project: names for what the address says. */
export function ViewMenu(props: ViewMenuProps) {
  return (
    <Menu label="Views" title="Open and save views of this project" align="end">
      {(close) => <Views {...props} close={close} />}
    </Menu>
  );
}

function Views({ workspace, project, close }: ViewMenuProps & { readonly close: () => void }) {
  const { client, address } = useServices();
  const loaded = useLoaded((signal) => savedViews(client, workspace, project, signal), JSON.stringify([workspace, project]));
  const views = loaded.value.value;
  const failed = useSignal<unknown>(null);
  const name = useSignal("");
  const attempt = async (work: () => Promise<void>) => {
    failed.value = null;
    try {
      await work();
    } catch (error) {
      failed.value = error;
    }
    await loaded.refresh();
  };
  const open = (view: SavedView) =>
    attempt(async () => {
      const query = await queryOfView(client, view);
      close();
      address.go(`${address.path.value}${query === "" ? "" : `?${query}`}`);
    });
  const query = address.query.value.toString();
  const save = (event: Event) => {
    event.preventDefault();
    const given = name.value.trim();
    if (given === "") return;
    void attempt(async () => {
      await saveView(client, workspace, project, given, query, null);
      name.value = "";
    });
  };
  const error = failed.value ?? loaded.error.value;
  return (
    <div class="view-menu">
      {error === null ? null : <Notice kind="bad">{messageOf(error)}</Notice>}
      {views?.length === 0 ? <p class="soft">No views yet. A view keeps the filter, the columns, the charts and all else that is in the address.</p> : null}
      <ul aria-label="Saved views">
        {(views ?? []).map((view) => (
          <li key={view.name}>
            <button type="button" class="quiet ellipsis" title={view.name} onClick={() => void open(view)}>
              {view.name}
            </button>
            <span class="soft">{textOfAge(view.updated_at, nowMs.value)}</span>
            <button
              type="button"
              class="icon"
              title="Save what is shown now under this name"
              aria-label={`Save what is shown now as ${view.name}`}
              onClick={() => void attempt(() => saveView(client, workspace, project, view.name, query, view))}
            >
              ⤓
            </button>
            <button
              type="button"
              class="icon"
              title="Delete"
              aria-label={`Delete ${view.name}`}
              onClick={() => {
                if (confirm(`Delete the view “${view.name}”? Others see it, too.`)) void attempt(() => deleteView(client, view));
              }}
            >
              ×
            </button>
          </li>
        ))}
      </ul>
      <form onSubmit={save}>
        <input
          type="text"
          aria-label="Name of a new view"
          placeholder="Save what is shown as"
          value={name.value}
          onInput={(event) => {
            name.value = event.currentTarget.value;
          }}
        />
        <button type="submit" class="main" disabled={name.value.trim() === ""}>
          Save
        </button>
      </form>
    </div>
  );
}
