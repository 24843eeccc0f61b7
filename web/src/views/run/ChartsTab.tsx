import { useMemo } from "preact/hooks";

import { ChartsState } from "../../chart/chartsState.ts";
import { RunCharts } from "../../chart/RunCharts.tsx";
import { summariesOf } from "../../data/details.ts";
import { messageOf } from "../../data/problem.ts";
import { textOfCount } from "../../data/values.ts";
import { useLoaded } from "../../state/loading.ts";
import { searched } from "../../state/sections.ts";
import { useServices } from "../../state/services.ts";
import { Notice } from "../../ui/Notice.tsx";
import { useRun } from "./context.ts";
import { FindField } from "./FindField.tsx";

/** What the names of metrics of the machine begin with. */
const SYSTEM = "system/";
/** How often a running run is asked for names of new metrics, in milliseconds; their points come live. */
const NAMES_MS = 5000;

/** Curves of all that was trained. */
export function ChartsTab() {
  return <Charts isWanted={(metric) => !metric.startsWith(SYSTEM)} missing="This run has no metrics yet. `run.log` logs them." />;
}

/** Curves of the machine that it ran on. */
export function SystemTab() {
  return <Charts isWanted={(metric) => metric.startsWith(SYSTEM)} missing="This run has no metrics of its machine." />;
}

function Charts({ isWanted, missing }: { readonly isWanted: (metric: string) => boolean; readonly missing: string }) {
  const { client, address } = useServices();
  const { run, detail, when, everyMs, state } = useRun();
  const charts = useMemo(() => new ChartsState(address), []);
  const key = JSON.stringify([run, when]);
  const every = everyMs === null ? null : NAMES_MS;
  const loaded = useLoaded((signal) => summariesOf(client, [run], when, signal), key, every);
  const error = loaded.error.value;
  const all = loaded.value.value?.map(({ metric }) => metric).filter(isWanted) ?? null;
  const metrics = searched(all ?? [], state.find.value);
  return (
    <>
      <FindField label="Find a chart by the name of its metric">
        {all === null ? null : (
          <span class="soft" aria-live="polite">
            {textOfCount(metrics.length)} of {textOfCount(all.length)}
          </span>
        )}
      </FindField>
      {error === null ? null : <Notice kind="bad">{messageOf(error)}</Notice>}
      {all?.length === 0 ? <p class="waiting">{missing}</p> : <RunCharts runs={[detail.run]} metrics={metrics} asOf={when.asOf} state={charts} />}
    </>
  );
}
