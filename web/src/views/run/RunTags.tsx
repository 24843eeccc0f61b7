import { useSignal } from "@preact/signals";

import { command, type RunCommand } from "../../data/commands.ts";
import { messageOf } from "../../data/problem.ts";
import { useServices } from "../../state/services.ts";
import { Notice } from "../../ui/Notice.tsx";
import { useRun } from "./context.ts";

const LONGEST_TAG = 200;

/** The run's tags, which a person adds and takes away. */
export function RunTags() {
  const { client } = useServices();
  const { detail, run, refresh, mayEdit } = useRun();
  const typed = useSignal("");
  const isBusy = useSignal(false);
  const failed = useSignal<string | null>(null);
  const send = async (event: RunCommand) => {
    isBusy.value = true;
    try {
      await refresh(await command(client, run, [event]));
      failed.value = null;
    } catch (error) {
      failed.value = messageOf(error);
    } finally {
      isBusy.value = false;
    }
  };
  const add = async (event: Event) => {
    event.preventDefault();
    const tag = typed.value.trim();
    if (tag === "") return;
    await send({ type: "tags_added.v1", tags: [tag] });
    if (failed.value === null) typed.value = "";
  };
  const { tags } = detail.run;
  return (
    <section>
      <h2>Tags</h2>
      <ul class="run-tags" aria-label="Tags of the run">
        {tags.map((tag) => (
          <li key={tag} class="tag tag-whole" title={tag}>
            <span class="ellipsis">{tag}</span>
            {mayEdit ? (
              <button
                type="button"
                class="icon"
                disabled={isBusy.value}
                aria-label={`Take the tag ${tag} away`}
                onClick={() => void send({ type: "tags_removed.v1", tags: [tag] })}
              >
                ×
              </button>
            ) : null}
          </li>
        ))}
        {tags.length === 0 && !mayEdit ? <li class="soft">none</li> : null}
      </ul>
      {mayEdit ? (
        <form class="tag-form" onSubmit={(event) => void add(event)}>
          <input
            type="text"
            aria-label="A new tag"
            placeholder="A new tag"
            maxLength={LONGEST_TAG}
            value={typed.value}
            onInput={(event) => {
              typed.value = event.currentTarget.value;
            }}
          />
          <button type="submit" class="plain-button" disabled={isBusy.value || typed.value.trim() === ""}>
            Add
          </button>
        </form>
      ) : null}
      {failed.value === null ? null : <Notice kind="bad">{failed.value}</Notice>}
    </section>
  );
}
