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

/** The run's parameters as a tree. */
export function ParametersTab() {
  const { client } = useServices();
  const { run, when, everyMs, state } = useRun();
  const key = JSON.stringify([run, when]);
  const loaded = useLoaded((signal) => valuesOf(client, run, "parameters", when, signal), key, everyMs);
  const values = loaded.value.value;
  const error = loaded.error.value;
  const find = state.find.value;
  return (
    <>
      <FindField label="Find a parameter by its name or value">
        {values === null ? null : (
          <>
            <span class="soft" aria-live="polite">
              {textOfCount(matching(values, find).length)} of {textOfCount(values.length)}
            </span>
            <Copy label="Copy JSON" title="the parameters that are shown" text={() => jsonOf(matching(values, find))} />
          </>
        )}
      </FindField>
      {error === null ? null : <Notice kind="bad">{messageOf(error)}</Notice>}
      {values?.length === 0 ? (
        <p class="waiting">This run has no parameters. `run.log_params` and `init(config=...)` log them.</p>
      ) : (
        <ValueTree label="Parameters" values={values ?? []} find={find} />
      )}
    </>
  );
}
