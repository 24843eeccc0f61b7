import { valuesOf } from "../../data/details.ts";
import { messageOf } from "../../data/problem.ts";
import { jsonOf, matching } from "../../data/tree.ts";
import { textOfCount } from "../../data/values.ts";
import { useLoaded } from "../../state/loading.ts";
import { useServices } from "../../state/services.ts";
import { Copy } from "../../ui/Copy.tsx";
import { Notice } from "../../ui/Notice.tsx";
import { useRun } from "./context.ts";
import { FindField } from "./FindField.tsx";
import { ValueTree } from "./ValueTree.tsx";

/** Hundreds of rows that few want to see at once. */
const CLOSED = ["packages"] as const;

/** What the run ran on: commit, command, host, packages. */
export function EnvironmentTab() {
  const { client } = useServices();
  const { run, when, everyMs, state } = useRun();
  const key = JSON.stringify([run, when]);
  const loaded = useLoaded((signal) => valuesOf(client, run, "environment", when, signal), key, everyMs);
  const values = loaded.value.value;
  const error = loaded.error.value;
  const find = state.find.value;
  return (
    <>
      <FindField label="Find a part of the environment by its name or value">
        {values === null ? null : (
          <>
            <span class="soft" aria-live="polite">
              {textOfCount(matching(values, find).length)} of {textOfCount(values.length)}
            </span>
            <Copy label="Copy JSON" title="the environment as shown" text={() => jsonOf(matching(values, find))} />
          </>
        )}
      </FindField>
      {error === null ? null : <Notice kind="bad">{messageOf(error)}</Notice>}
      {values?.length === 0 ? (
        <p class="waiting">Nothing was captured: the run was made by a program that captures no environment.</p>
      ) : (
        <ValueTree label="Environment" values={values ?? []} find={find} closed={CLOSED} />
      )}
    </>
  );
}
