import { useEffect, useMemo } from "preact/hooks";

import type { Run } from "../data/types.ts";
import { sectionsOf } from "../state/sections.ts";
import { useServices } from "../state/services.ts";
import { AxisSelect } from "./AxisSelect.tsx";
import { ChartSections } from "./ChartSections.tsx";
import { type ChartsState, useCharts } from "./chartsState.ts";
import { MetricChart } from "./MetricChart.tsx";
import { ServerSource } from "./serverSource.ts";

interface RunChartsProps {
  /** At least one; all of one workspace. */
  readonly runs: readonly Run[];
  readonly metrics: readonly string[];
  readonly asOf: string | null;
  readonly state: ChartsState;
}

/** Sections that are open at first; who has a thousand prefixes opens what is wanted. */
const OPEN_SECTIONS = 12;

/** A chart for each metric of some runs, in sections by what their names begin with. */
export function RunCharts({ runs, metrics, asOf, state }: RunChartsProps) {
  const { client, live, engine } = useServices();
  const view = useCharts(state);
  const ids = runs.map((run) => run.run);
  const first = runs[0];
  const x = state.x.value;
  const place = { workspace: first?.workspace ?? "", project: first?.project ?? "" };
  const key = JSON.stringify([place, x, asOf]);
  const source = useMemo(() => new ServerSource(client, live, engine(), { ...place, runs: ids, x, groupBy: [], asOf }), [key]);
  useEffect(() => source.show(ids), [source, ids.join()]);
  const names = JSON.stringify(runs.map(({ run, name }) => [run, name]));
  const shown = useMemo(() => runs, [names]);
  return (
    <>
      <div class="bar">
        <AxisSelect state={state} view={view} metrics={[]} />
        <button type="button" class="chip" aria-pressed={state.yLog.value} onClick={() => (view.yLog.value = !view.yLog.value)}>
          Log scale
        </button>
        {state.zoom.value === null ? null : (
          <button type="button" class="plain-button" onClick={() => (view.range.value = null)}>
            Show everything
          </button>
        )}
      </div>
      <ChartSections
        metrics={metrics}
        folded={state.folded}
        isOpenAtFirst={(_, at) => at < OPEN_SECTIONS}
        areAllOpen={sectionsOf(metrics).length === 1}
        chart={(metric) => <MetricChart key={metric} metric={metric} source={source} runs={shown} view={view} />}
      />
    </>
  );
}
