import { useEffect, useMemo } from "preact/hooks";

import { MetricChart } from "../../chart/MetricChart.tsx";
import { ServerSource } from "../../chart/serverSource.ts";
import { MOST_RUNS } from "../../data/charts.ts";
import { messageOf, Problem } from "../../data/problem.ts";
import { RunList, type RunQuestion } from "../../data/runs.ts";
import { partsOfField } from "../../state/filters.ts";
import { useLast, useLoaded } from "../../state/loading.ts";
import { useServices } from "../../state/services.ts";
import { Freshness } from "../../ui/Freshness.tsx";
import { Notice } from "../../ui/Notice.tsx";
import { AsOf } from "./AsOf.tsx";
import { ChartGrid } from "./ChartGrid.tsx";
import { ColumnMenu } from "./ColumnMenu.tsx";
import { useChartView } from "./charting.ts";
import { kindOf } from "./columns.ts";
import { FilterBar } from "./FilterBar.tsx";
import { interestOf } from "./live.ts";
import { mainMetric, metricNames } from "./metrics.ts";
import { RunTable } from "./RunTable.tsx";
import { Selection } from "./Selection.tsx";
import { ProjectState, standardColumns } from "./state.ts";
import { Toolbar } from "./Toolbar.tsx";
import { ViewMenu } from "./ViewMenu.tsx";

interface ProjectViewProps {
  readonly workspace: string;
  readonly project: string;
}

/** Fields to group by that every project has. */
const GROUP_FIELDS = ["group", "tag", "job_type", "user", "host", "status", "rank", "attempt"];

/** How often new metrics are looked for while runs train, in milliseconds. */
const NAMES_MS = 4000;

/** The runs of a project in a table, beside charts of their curves. */
export function ProjectView({ workspace, project }: ProjectViewProps) {
  const { client, address, live, engine } = useServices();
  const state = useMemo(() => new ProjectState(address), []);
  const view = useChartView(state);
  const list = useMemo(() => new RunList(client), []);
  const filter = state.filter.value;
  // No stream tells of metrics that nobody knows yet: while runs train, their names are asked for now and then.
  const isTraining = !state.isPast.value && list.rows.value.some((run) => run.status === "running");
  const metrics = useLoaded(
    (signal) => metricNames(client, workspace, project, filter, signal),
    filter,
    isTraining ? NAMES_MS : null,
  );
  const known = useLast(metrics.value.value).value;
  const names = known ?? [];
  const columns = state.columns.value ?? standardColumns(mainMetric(names));
  const question: RunQuestion = {
    workspace,
    project,
    filter,
    sort: state.sort.value,
    columns: columns.flatMap((column) => kindOf(column).asked ?? []),
    asOf: state.isPast.value ? state.asOf.value : null,
  };
  // The columns that nobody chose are those of a metric, whose name comes a moment later: the rows are there before it.
  useEffect(() => list.ask(question), [JSON.stringify(question)]);
  useEffect(() => () => list.end(), []);
  useEffect(() => {
    document.title = `${project} · Runstream`;
  }, [project]);
  const isLoaded = list.position.value !== null;
  const followed = metricsOf(columns);
  useEffect(() => {
    if (!isLoaded || state.isPast.value) return undefined;
    const isOrderMoving = /metric\.|updated|duration/.test(question.sort);
    const interest = interestOf({ workspace, project, list, metrics: followed, isOrderMoving });
    const leave = live.follow(interest);
    return () => {
      leave();
      interest.end();
    };
  }, [isLoaded, JSON.stringify([followed, question.sort, state.isPast.value])]);

  const error = list.error.value;
  const ofFilter = error instanceof Problem && error.about === "filter" ? error : null;
  const isGrouped = state.grouping.value.length > 0;
  // A group is all of its runs, not those that the table happens to show.
  const most = isGrouped ? MOST_RUNS : state.drawn.value;
  useEffect(() => list.need(most), [most, list.position.value]);
  const rows = list.rows.value.slice(0, most);
  // Rows change many times a second; what is drawn does so only when other runs are, or are called or ordered otherwise.
  const shown = useMemo(() => rows, [JSON.stringify(rows.map(({ run, name }) => [run, name]))]);
  const ids = useMemo(() => shown.map((run) => run.run).sort(), [shown]);
  const drawn = useMemo(() => new Set(ids), [ids]);
  const x = state.x.value;
  const groupBy = state.grouping.value;
  const source = useMemo(
    () => new ServerSource(client, live, engine(), { workspace, project, runs: ids, x, groupBy, asOf: question.asOf }),
    [x, JSON.stringify(groupBy), question.asOf],
  );
  useEffect(() => source.show(ids), [source, ids]);
  return (
    <main class="project" id="view">
      <div class="bar">
        <FilterBar
          workspace={workspace}
          project={project}
          value={filter}
          onChange={(changed) => state.filter.set(changed)}
          error={ofFilter}
        />
        <ColumnMenu workspace={workspace} project={project} state={state} shown={columns} />
        <ViewMenu workspace={workspace} project={project} />
        <AsOf workspace={workspace} project={project} state={state} />
        {state.isPast.value ? null : <Freshness state={live.state} />}
      </div>
      {error === null || ofFilter !== null ? null : <Notice kind="bad">{messageOf(error)}</Notice>}
      {list.unknown.value.map((sentence) => (
        <Notice key={sentence} kind="warn">
          {sentence}
        </Notice>
      ))}
      <div class={`halves halves-${state.side.value}`}>
        <section class="half-table" aria-label="Runs">
          <Selection workspace={workspace} project={project} state={state} list={list} drawn={drawn.size} />
          <RunTable list={list} state={state} columns={columns} drawn={drawn} />
        </section>
        <section class="half-charts" aria-label="Charts">
          <Toolbar state={state} view={view} metrics={names} fields={groupFields(columns)} />
          {known === null || rows.length === 0 ? null : (
            <ChartGrid
              state={state}
              metrics={names}
              chart={(metric) => <MetricChart key={metric} metric={metric} source={source} runs={shown} view={view} hidden={state.hidden} />}
            />
          )}
        </section>
      </div>
    </main>
  );
}

/** Metrics that columns show values of. */
function metricsOf(columns: readonly string[]): readonly string[] {
  const names = columns.flatMap((column) => {
    const { curve, asked } = kindOf(column);
    const field = asked === null ? null : partsOfField(asked);
    return curve ?? (field?.kind === "metric" ? field.name : []);
  });
  return [...new Set(names)].sort();
}

function groupFields(columns: readonly string[]): readonly string[] {
  return [...columns.filter((column) => /^(param|other|env)\./.test(column)), ...GROUP_FIELDS];
}
