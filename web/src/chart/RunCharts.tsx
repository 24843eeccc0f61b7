import { useComputed, useSignal } from "@preact/signals";
import { useEffect, useMemo } from "preact/hooks";

import type { Run } from "../data/types.ts";
import { textOfCount } from "../data/values.ts";
import { seriesKey } from "../draw/series.ts";
import { colourOf } from "../state/colours.ts";
import { sectionsOf } from "../state/sections.ts";
import { useServices } from "../state/services.ts";
import { type ChartsState, useCharts } from "./chartsState.ts";
import { CurveChart } from "./CurveChart.tsx";
import { ServerSource } from "./serverSource.ts";
import { type ChartView, type LineStyle, type XAxis } from "./view.ts";

interface RunChartsProps {
  /** At least one; all of one workspace. */
  readonly runs: readonly Run[];
  readonly metrics: readonly string[];
  readonly asOf: string | null;
  readonly state: ChartsState;
}

const AXES: readonly (readonly [XAxis, string])[] = [
  ["step", "Step"],
  ["relative", "Time since the start"],
  ["active", "Active time"],
  ["time", "Time of day"],
  ["epoch", "Epoch"],
];
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
  const sections = sectionsOf(metrics);
  return (
    <>
      <Axis view={view} state={state} />
      {sections.map(({ prefix, metrics: members }, at) => {
        const isChanged = state.folded.value.includes(prefix);
        const isOpen = sections.length === 1 || at < OPEN_SECTIONS !== isChanged;
        return (
          <section key={prefix} class="chart-section">
            <h2>
              <button type="button" class="quiet" aria-expanded={isOpen} onClick={() => state.folded.set(toggled(state.folded.value, prefix))}>
                <span aria-hidden="true">{isOpen ? "▾" : "▸"}</span> {prefix === "" ? "charts" : prefix}{" "}
                <span class="soft">{textOfCount(members.length)}</span>
              </button>
            </h2>
            {isOpen ? (
              <div class="chart-grid">
                {members.map((metric) => (
                  <MetricChart key={metric} metric={metric} source={source} runs={runs} view={view} />
                ))}
              </div>
            ) : null}
          </section>
        );
      })}
    </>
  );
}

function Axis({ view, state }: { readonly view: ChartView; readonly state: ChartsState }) {
  return (
    <div class="bar">
      <label>
        Along{" "}
        <select
          value={state.x.value}
          onChange={(event) => {
            // Places of another axis mean nothing on it.
            view.extent.value = null;
            state.address.change({ ...state.x.with(event.currentTarget.value), ...state.zoom.with(null) });
          }}
        >
          {AXES.map(([axis, title]) => (
            <option key={axis} value={axis}>
              {title}
            </option>
          ))}
        </select>
      </label>
      <button type="button" class="chip" aria-pressed={state.yLog.value} onClick={() => (view.yLog.value = !view.yLog.value)}>
        Log scale
      </button>
      {state.zoom.value === null ? null : (
        <button type="button" class="plain-button" onClick={() => (view.range.value = null)}>
          Show everything
        </button>
      )}
    </div>
  );
}

interface MetricChartProps {
  readonly metric: string;
  readonly source: ServerSource;
  readonly runs: readonly Run[];
  readonly view: ChartView;
}

function MetricChart({ metric, source, runs, view }: MetricChartProps) {
  const { theme, engine } = useServices();
  const shown = useSignal(runs);
  const names = JSON.stringify(runs.map(({ run, name }) => [run, name]));
  useEffect(() => {
    shown.value = runs;
  }, [names]);
  const lines = useComputed((): ReadonlyMap<string, LineStyle> => {
    const dark = theme.shade.value === "dark";
    return new Map(
      shown.value.map((run, at) => [
        seriesKey(run.run, metric),
        { colour: colourOf(run.run, dark), name: run.name, dash: 0, hidden: false, order: -at },
      ]),
    );
  });
  return <CurveChart engine={engine()} title={metric} metrics={[metric]} source={source} lines={lines} view={view} />;
}

function toggled(members: readonly string[], member: string): readonly string[] {
  return members.includes(member) ? members.filter((one) => one !== member) : [...members, member];
}
