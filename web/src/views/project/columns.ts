import type { Run } from "../../data/types.ts";
import { partsOfField } from "../../state/filters.ts";

/** How a column of the table of runs is made, from the word that stands for it in the address. */
export interface ColumnKind {
  /** The field of the filter language that sorts by it; null: nothing does. */
  readonly sort: string | null;
  readonly title: string;
  readonly width: number;
  readonly isNumber: boolean;
  /** The column to ask the server for; null: every run has the value. */
  readonly asked: string | null;
  /** The metric whose curve it shows. */
  readonly curve: string | null;
}

interface OfRun {
  readonly width: number;
  readonly isNumber?: boolean;
  readonly sort?: string | null;
  readonly title?: string;
}

/** Columns that every run has. */
export const OF_RUNS: Readonly<Record<string, OfRun>> = {
  status: { width: 92 },
  created: { width: 92 },
  started: { width: 92 },
  ended: { width: 92 },
  updated: { width: 92 },
  duration: { width: 84, isNumber: true },
  tags: { width: 150, sort: null },
  group: { width: 90 },
  job_type: { width: 90, title: "job type" },
  experiment: { width: 110 },
  user: { width: 80 },
  host: { width: 90 },
  notes: { width: 180 },
  message: { width: 180 },
  id: { width: 130 },
};

const CURVE = "curve:";

/** The word for a column with small pictures of a metric. */
export function curveColumn(metric: string): string {
  return CURVE + metric;
}

export function kindOf(column: string): ColumnKind {
  if (column.startsWith(CURVE)) {
    const metric = column.slice(CURVE.length);
    return { sort: null, title: metric, width: 132, isNumber: false, asked: null, curve: metric };
  }
  const own = Object.hasOwn(OF_RUNS, column) ? OF_RUNS[column] : undefined;
  if (own !== undefined) {
    const sort = own.sort === undefined ? column : own.sort;
    return { sort, title: own.title ?? column, width: own.width, isNumber: own.isNumber ?? false, asked: null, curve: null };
  }
  const isMetric = column.startsWith("metric.");
  return { sort: column, title: titleOf(column), width: 104, isNumber: isMetric, asked: column, curve: null };
}

function titleOf(column: string): string {
  const parts = partsOfField(column);
  if (parts === null) return column;
  return parts.aggregate === "" ? parts.name : `${parts.name} ${parts.aggregate}`;
}

/** The text of a run's own column. */
export function ownText(run: Run, column: string): string {
  switch (column) {
    case "group":
      return run.group;
    case "job_type":
      return run.job_type;
    case "experiment":
      return run.experiment;
    case "user":
      return run.user;
    case "host":
      return run.host;
    case "notes":
      return run.notes;
    case "message":
      return run.message;
    case "id":
      return run.run;
    default:
      return "";
  }
}
