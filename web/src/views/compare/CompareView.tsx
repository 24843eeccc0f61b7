import { useEffect, useMemo } from "preact/hooks";

import { ChartsState } from "../../chart/chartsState.ts";
import { RunCharts } from "../../chart/RunCharts.tsx";
import { comparedRuns, MOST_COMPARED, unquoted } from "../../data/comparison.ts";
import { messageOf } from "../../data/problem.ts";
import type { Run } from "../../data/types.ts";
import { useLoaded } from "../../state/loading.ts";
import { addressOf } from "../../state/routes.ts";
import { useServices } from "../../state/services.ts";
import { Link } from "../../ui/Link.tsx";
import { Notice } from "../../ui/Notice.tsx";
import { CodePart } from "./CodePart.tsx";
import { CompareState, PARTS, type Part } from "./state.ts";
import { ValuesPart } from "./ValuesPart.tsx";

interface CompareViewProps {
  readonly workspace: string;
  readonly project: string;
}

/** How often runs are read again of which one is running, in milliseconds. */
const LIVE_MS = 5000;
const TITLES: Readonly<Record<Part, string>> = { values: "Values", code: "Code" };

/** Some runs side by side: their curves, what differs among their values, and their code. */
export function CompareView({ workspace, project }: CompareViewProps) {
  const { client, address } = useServices();
  const state = useMemo(() => new CompareState(address), []);
  const ids = state.runs.value;
  const asOf = state.asOf.value === "" ? null : state.asOf.value;
  const loaded = useLoaded((signal) => comparedRuns(client, workspace, ids, asOf, signal), JSON.stringify([workspace, ids, asOf]));
  const runs = loaded.value.value;
  const isRunning = runs?.some(({ status }) => status === "running") === true;
  useEffect(() => loaded.repeat(isRunning && asOf === null ? LIVE_MS : null), [loaded, isRunning, asOf]);
  useEffect(() => {
    document.title = `Compare runs · ${project} · Runstream`;
  }, [project]);
  const error = loaded.error.value;
  const part = state.part.value;
  return (
    <main class="compare" id="view">
      <div class="bar">
        <h1>Compare {runs === null ? "" : runs.length === 1 ? "1 run" : `${runs.length} runs`}</h1>
        {PARTS.map((one) => (
          <button key={one} type="button" class="chip" aria-pressed={one === part} onClick={() => state.part.set(one)}>
            {TITLES[one]}
          </button>
        ))}
        <button type="button" class="chip" aria-pressed={!state.noCurves.value} onClick={() => state.noCurves.set(!state.noCurves.value)}>
          Curves
        </button>
      </div>
      {error === null ? null : <Notice kind="bad">{messageOf(error)}</Notice>}
      <Missing asked={ids} runs={runs} />
      {ids.length === 0 ? (
        <p class="waiting">
          No runs are chosen. Tick some in <Link to={addressOf(workspace, project)}>{project}</Link>, then compare them.
        </p>
      ) : runs === null || runs.length === 0 ? null : (
        <>
          {state.noCurves.value ? null : <Curves runs={runs} asOf={asOf} />}
          {part === "values" ? <ValuesPart runs={runs} state={state} /> : <CodePart runs={runs} state={state} />}
        </>
      )}
    </main>
  );
}

function Missing({ asked, runs }: { readonly asked: readonly string[]; readonly runs: readonly Run[] | null }) {
  if (runs === null) return null;
  const found = new Set(runs.map(({ run }) => run));
  const missing = asked.slice(0, MOST_COMPARED).filter((id) => !found.has(id));
  return (
    <>
      {asked.length > MOST_COMPARED ? (
        <Notice kind="warn">
          {asked.length} runs are chosen; the first {MOST_COMPARED} are compared.
        </Notice>
      ) : null}
      {missing.length === 0 ? null : <Notice kind="warn">Not there, or deleted: {missing.join(", ")}</Notice>}
    </>
  );
}

/** What the names of metrics of machines begin with: they have charts on the page of each run. */
const SYSTEM = "system/";
const METRIC = "metric.";

function Curves({ runs, asOf }: { readonly runs: readonly Run[]; readonly asOf: string | null }) {
  const { address } = useServices();
  const charts = useMemo(() => new ChartsState(address), []);
  const fields = new Set(runs.flatMap((run) => Object.keys(run.columns)));
  const metrics = [...fields]
    .filter((field) => field.startsWith(METRIC))
    .map((field) => unquoted(field.slice(METRIC.length)))
    .filter((name) => !name.startsWith(SYSTEM));
  if (metrics.length === 0) return null;
  return (
    <section class="compare-curves" aria-label="Curves" tabIndex={0}>
      <RunCharts runs={runs} metrics={metrics} asOf={asOf} state={charts} />
    </section>
  );
}
