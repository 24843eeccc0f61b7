import { useSignal } from "@preact/signals";
import { useEffect, useMemo } from "preact/hooks";

import { fieldsOf } from "../../data/fields.ts";
import { messageOf } from "../../data/problem.ts";
import { RunList } from "../../data/runs.ts";
import type { Field, Run } from "../../data/types.ts";
import { textOfCount } from "../../data/values.ts";
import { AGGREGATES, both, fieldOf } from "../../state/filters.ts";
import { useLast, useLoaded } from "../../state/loading.ts";
import { useServices } from "../../state/services.ts";
import { Menu } from "../../ui/Menu.tsx";
import { Notice } from "../../ui/Notice.tsx";
import { axisOf, type FieldAxis, valueOf } from "./axes.ts";
import { Parallel } from "./Parallel.tsx";
import { Scatter } from "./Scatter.tsx";
import { ViewState } from "./state.ts";

interface SweepViewProps {
  readonly workspace: string;
  readonly project: string;
}

/** So many runs are drawn; the count says so where there are more. */
const MOST_RUNS = 5000;
/** So many parameters have an axis unless somebody chooses others. */
const MOST_AXES = 8;

/** How parameters and a metric go together, over the runs of a filter. */
export function SweepView({ workspace, project }: SweepViewProps) {
  const { client, address } = useServices();
  const state = useMemo(() => new ViewState(address), []);
  const list = useMemo(() => new RunList(client), []);
  const highlighted = useSignal<string | null>(null);
  const filter = state.filter.value;
  const question = { workspace, project, filter, kinds: ["param", "metric"] as const, values: 0, limit: 500 };
  const loaded = useLoaded((signal) => fieldsOf(client, question, signal), JSON.stringify(question));
  // What was known of the filter before is shown until what is known of this one came.
  const fields = useLast(loaded.value.value).value?.fields ?? null;
  const metrics = (fields ?? []).filter((field) => field.kind === "metric");
  const parameters = (fields ?? []).filter((field) => field.kind === "param");
  const target = state.target.value === "" ? standardTarget(metrics) : state.target.value;
  const named = state.axes.value.length > 0 ? state.axes.value : parameters.filter(isVaried).slice(0, MOST_AXES).map((one) => one.field);
  const columns = [...named, ...(target === "" ? [] : [target])];
  useEffect(() => {
    if (fields === null) return;
    list.ask({ workspace, project, filter, sort: "-created", columns, asOf: null });
    list.need(MOST_RUNS);
  }, [fields !== null, filter, JSON.stringify(columns)]);
  useEffect(() => () => list.end(), []);
  useEffect(() => {
    document.title = `Sweep of ${project} · Runstream`;
  }, []);

  const runs = list.rows.value;
  const axes = named.flatMap((field) => axisOfRuns(field, runs) ?? []);
  const goal = target === "" ? null : axisOfRuns(target, runs);
  const across = axes.find((axis) => axis.field === state.across.value) ?? axes[0];
  const error = loaded.error.value ?? list.error.value;
  return (
    <main class="sweep" id="view">
      <div class="bar">
        <label>
          Metric{" "}
          <select aria-label="The metric that is to be good" value={target} onChange={(event) => state.target.set(event.currentTarget.value)}>
            {targetsOf(metrics, target).map((field) => (
              <option key={field}>{field}</option>
            ))}
          </select>
        </label>
        <AxesMenu state={state} named={named} parameters={parameters} />
        <span class="soft" role="status">
          {list.total.value === null ? "Loading runs" : counted(runs.length, list.total.value)}
        </span>
        {filter === "" ? null : (
          <>
            <code class="ellipsis" title={filter}>
              {filter}
            </code>
            <button type="button" class="quiet" onClick={() => state.filter.set("")}>
              Clear the filter
            </button>
          </>
        )}
      </div>
      {error === null ? null : <Notice kind="bad">{messageOf(error)}</Notice>}
      {fields !== null && parameters.length === 0 ? <Notice kind="quiet">These runs have no parameters.</Notice> : null}
      <div class="sweep-body">
        {axes.length === 0 ? null : (
          <>
            <p class="soft">Drag along an axis: the stretch becomes a test of the filter. Lines have the colour of the metric.</p>
            <Parallel
              runs={runs}
              axes={goal === null ? axes : [...axes, goal]}
              target={goal}
              highlighted={highlighted.value}
              onBrush={(test) => state.filter.set(both(filter, test))}
            />
          </>
        )}
        {goal === null || across === undefined ? null : (
          <section aria-label="Scatter plot">
            <label>
              Across{" "}
              <select aria-label="The field across the plot" value={across.field} onChange={(event) => state.across.set(event.currentTarget.value)}>
                {axes.map((axis) => (
                  <option key={axis.field}>{axis.field}</option>
                ))}
              </select>
            </label>
            <Scatter
              runs={runs}
              x={across}
              y={goal}
              highlighted={highlighted.value}
              onHover={(run) => {
                highlighted.value = run;
              }}
            />
          </section>
        )}
      </div>
    </main>
  );
}

function axisOfRuns(field: string, runs: readonly Run[]): FieldAxis | null {
  return axisOf(
    field,
    runs.map((run) => valueOf(run, field)),
  );
}

/** Whether a parameter is not the same in all runs. */
function isVaried(field: Field): boolean {
  return (field.distinct ?? 0) > 1;
}

function standardTarget(metrics: readonly Field[]): string {
  const names = metrics.map((metric) => metric.name).filter((name) => !name.startsWith("system/"));
  const name = names.find((one) => /^val/i.test(one)) ?? names[0];
  if (name === undefined) return "";
  return fieldOf("metric", name, /loss|err|perplexity/i.test(name) ? "min" : "max");
}

function targetsOf(metrics: readonly Field[], target: string): readonly string[] {
  const all = metrics.flatMap((metric) => AGGREGATES.map((aggregate) => fieldOf("metric", metric.name, aggregate)));
  return target === "" || all.includes(target) ? all : [target, ...all];
}

function counted(loaded: number, total: number): string {
  const runs = `${textOfCount(total)} ${total === 1 ? "run" : "runs"}`;
  return loaded < total ? `the newest ${textOfCount(loaded)} of ${runs} are drawn` : runs;
}

interface AxesMenuProps {
  readonly state: ViewState;
  readonly named: readonly string[];
  readonly parameters: readonly Field[];
}

function AxesMenu({ state, named, parameters }: AxesMenuProps) {
  return (
    <Menu label="Axes" title="Choose the parameters with an axis">
      <fieldset class="group-menu">
        <legend>Parameters</legend>
        {parameters.map((field) => (
          <label key={field.field} class="ellipsis">
            <input
              type="checkbox"
              checked={named.includes(field.field)}
              onChange={() =>
                state.axes.set(
                  named.includes(field.field) ? named.filter((one) => one !== field.field) : [...named, field.field],
                )
              }
            />{" "}
            {field.field} <span class="soft">{field.distinct === 1 ? "the same in all" : `${field.distinct} values`}</span>
          </label>
        ))}
      </fieldset>
    </Menu>
  );
}
