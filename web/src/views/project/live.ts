import type { Interest } from "../../data/live/client.ts";
import type { RunList } from "../../data/runs.ts";
import type { Logged, Run, Summary } from "../../data/types.ts";
import { numberOf } from "../../data/values.ts";
import { fieldOf } from "../../state/filters.ts";

/** A list is asked again so long after the first change that it cannot take in by itself, in milliseconds. */
const AGAIN_MS = 1000;

interface Followed {
  readonly workspace: string;
  readonly project: string;
  readonly list: RunList;
  /** Metrics of which the table shows something. */
  readonly metrics: readonly string[];
  /** Whether the order of the table is by what changes while runs train. */
  readonly isOrderMoving: boolean;
}

/** What a table of runs hears of, and what it does then; the last member ends it. */
export function interestOf({ workspace, project, list, metrics, isOrderMoving }: Followed): Interest & { end: () => void } {
  let timer: ReturnType<typeof setTimeout> | null = null;
  const again = () => {
    timer ??= setTimeout(() => {
      timer = null;
      list.refresh();
    }, AGAIN_MS);
  };
  return {
    workspace,
    project,
    runs: "all",
    metrics,
    since: list.position.value,
    onRuns: (runs) => {
      const here = runs.filter((run) => run.project === project && run.workspace === workspace);
      // A run that the list does not have may belong into it, and one that changed may not any more.
      if (list.update(here).length > 0) again();
    },
    onSummaries: (summaries) => {
      list.updateColumns(columnsOf(summaries));
      if (isOrderMoving) again();
    },
    onMissed: () => list.refresh(),
    end: () => {
      if (timer !== null) clearTimeout(timer);
    },
  };
}

/** Return what summaries say of columns, by run. Pure. */
export function columnsOf(summaries: readonly Summary[]): ReadonlyMap<string, Run["columns"]> {
  const found = new Map<string, Record<string, Logged>>();
  for (const one of summaries) {
    const columns = found.get(one.run) ?? {};
    found.set(one.run, columns);
    const values: Readonly<Record<string, Logged>> = {
      "": one.last,
      last: one.last,
      min: one.minimum,
      max: one.maximum,
      first: one.first,
      sum: one.total,
      mean: meanOf(one),
      std: one.std,
      count: one.count,
    };
    for (const [aggregate, value] of Object.entries(values)) columns[fieldOf("metric", one.metric, aggregate)] = value;
  }
  return found;
}

function meanOf(one: Summary): Logged {
  const total = numberOf(one.total);
  if (total === null || one.count === 0) return null;
  const mean = total / one.count;
  if (Number.isNaN(mean)) return "NaN";
  return Number.isFinite(mean) ? mean : mean > 0 ? "Infinity" : "-Infinity";
}
