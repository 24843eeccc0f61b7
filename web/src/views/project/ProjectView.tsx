import { useEffect, useMemo } from "preact/hooks";

import { ServerSource } from "../../chart/serverSource.ts";
import { MOST_RUNS } from "../../data/charts.ts";
import { messageOf, Problem } from "../../data/problem.ts";
import { placeOf, RunList, type RunQuestion } from "../../data/runs.ts";
import { AGGREGATES } from "../../state/filters.ts";
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
import { mainMetric, MetricNames } from "./metrics.ts";
import { RunsChart } from "./RunsChart.tsx";
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
  const metrics = useMemo(() => new MetricNames(client, workspace, project), []);
  const names = metrics.names.value ?? [];
  const columns = state.columns.value ?? standardColumns(mainMetric(names));
  const question: RunQuestion = {
    workspace,
    project,
    filter: state.filter.value,
    sort: state.sort.value,
    columns: columns.flatMap((column) => kindOf(column).asked ?? []),
    asOf: state.isPast.value ? state.asOf.value : null,
  };
  useEffect(() => {
    void metrics.ask(question.filter);
  }, [question.filter]);
  // The columns that nobody chose are those of a metric, whose name comes a moment later: the rows are there before it.
  useEffect(() => list.ask(question), [JSON.stringify(question)]);
  useEffect(
    () => () => {
      list.end();
      metrics.end();
    },
    [],
  );
  // No stream tells of metrics that nobody knows yet: while runs train, their names are asked for now and then.
  const isTraining = !state.isPast.value && list.rows.value.some((run) => run.status === "running");
  useEffect(() => {
    if (!isTraining) return undefined;
    const timer = setInterval(() => {
      if (!document.hidden) metrics.refresh();
    }, NAMES_MS);
    return () => clearInterval(timer);
  }, [isTraining]);
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
  const isOfFilter = error instanceof Problem && error.about === "filter";
  const isGrouped = state.grouping.value.length > 0;
  // A group is all of its runs, not those that the table happens to show.
  const most = isGrouped ? MOST_RUNS : state.drawn.value;
  useEffect(() => list.need(most), [most, list.position.value]);
  const rows = list.rows.value.slice(0, most);
  const ids = rows.map((run) => run.run);
  const drawn = new Set(ids);
  const x = state.x.value;
  const groupBy = state.grouping.value;
  const source = useMemo(
    () => new ServerSource(client, live, engine(), { workspace, project, runs: ids, x, groupBy, asOf: question.asOf }),
    [x, JSON.stringify(groupBy), question.asOf],
  );
  // Rows change many times a second, and their order too; other curves are loaded when other runs are drawn.
  const sorted = [...ids].sort();
  useEffect(() => source.show(sorted), [source, JSON.stringify(sorted)]);
  return (
    <main class="project" id="view">
      <div class="bar">
        <FilterBar
          workspace={workspace}
          project={project}
          value={state.filter.value}
          onChange={(filter) => state.filter.set(filter)}
          error={isOfFilter ? { message: error.message, at: placeOf(error) } : null}
        />
        <ColumnMenu workspace={workspace} project={project} state={state} shown={columns} />
        <ViewMenu workspace={workspace} project={project} />
        <AsOf workspace={workspace} project={project} state={state} />
        {state.isPast.value ? null : <Freshness state={live.state} />}
      </div>
      {error === null || isOfFilter ? null : <Notice kind="bad">{messageOf(error)}</Notice>}
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
          {metrics.names.value === null || rows.length === 0 ? null : (
            <ChartGrid
              state={state}
              metrics={names}
              chart={(metric) => <RunsChart key={metric} metric={metric} source={source} runs={rows} state={state} view={view} />}
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
    if (curve !== null) return [curve];
    return asked !== null && asked.startsWith("metric.") ? [metricOf(asked)] : [];
  });
  return [...new Set(names)].sort();
}

/** The metric of a field: of `metric."top 1".max` it is `top 1`. */
function metricOf(field: string): string {
  const name = field.slice("metric.".length);
  const aggregate = AGGREGATES.find((one) => name.endsWith(`.${one}`));
  const bare = aggregate === undefined ? name : name.slice(0, -aggregate.length - 1);
  return bare.startsWith('"') ? (JSON.parse(bare) as string) : bare;
}

function groupFields(columns: readonly string[]): readonly string[] {
  return [...columns.filter((column) => /^(param|other|env)\./.test(column)), ...GROUP_FIELDS];
}
