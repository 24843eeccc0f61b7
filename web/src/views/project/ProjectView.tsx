import { useSignal } from "@preact/signals";
import { useEffect, useMemo } from "preact/hooks";

import { messageOf, Problem } from "../../data/problem.ts";
import { placeOf, RunList, type RunQuestion } from "../../data/runs.ts";
import { textOfCount } from "../../data/values.ts";
import { useServices } from "../../state/services.ts";
import { Notice } from "../../ui/Notice.tsx";
import { ColumnMenu } from "./ColumnMenu.tsx";
import { kindOf } from "./columns.ts";
import { FilterBar } from "./FilterBar.tsx";
import { RunTable } from "./RunTable.tsx";
import { ProjectState } from "./state.ts";

interface ProjectViewProps {
  readonly workspace: string;
  readonly project: string;
}

/** The runs of a project in a table, beside charts of their curves. */
export function ProjectView({ workspace, project }: ProjectViewProps) {
  const { client, address } = useServices();
  const state = useMemo(() => new ProjectState(address), []);
  const list = useMemo(() => new RunList(client), []);
  const question: RunQuestion = {
    workspace,
    project,
    filter: state.filter.value,
    sort: state.sort.value,
    columns: state.columns.value.flatMap((column) => kindOf(column).asked ?? []),
    asOf: state.isPast.value ? state.asOf.value : null,
  };
  useEffect(() => list.ask(question), [JSON.stringify(question)]);
  useEffect(() => () => list.end(), []);
  useEffect(() => {
    document.title = `${project} · Runstream`;
  }, [project]);

  const error = list.error.value;
  const isOfFilter = error instanceof Problem && error.about === "filter";
  const drawn = new Set(list.rows.value.slice(0, state.drawn.value).map((run) => run.run));
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
        <ColumnMenu workspace={workspace} project={project} state={state} />
      </div>
      {error === null || isOfFilter ? null : <Notice kind="bad">{messageOf(error)}</Notice>}
      {list.unknown.value.map((sentence) => (
        <Notice key={sentence} kind="warn">
          {sentence}
        </Notice>
      ))}
      <div class={`halves halves-${state.side.value}`}>
        <section class="half-table" aria-label="Runs">
          <Counted list={list} />
          <RunTable list={list} state={state} drawn={drawn} />
        </section>
      </div>
    </main>
  );
}

function Counted({ list }: { readonly list: RunList }) {
  const total = list.total.value;
  const wasLoaded = useSignal(false);
  if (total !== null) wasLoaded.value = true;
  return (
    <p class="counted" aria-live="polite">
      {total === null ? "Loading runs" : `${textOfCount(total)} ${total === 1 ? "run" : "runs"}`}
    </p>
  );
}
