import type { Summary } from "../../data/types.ts";
import { numberOf } from "../../data/values.ts";

/** Columns of the table of summaries. */
export const COLUMNS = ["metric", "last", "minimum", "maximum", "mean", "std", "first", "count", "nan_count", "last_step"] as const;
export type SummaryColumn = (typeof COLUMNS)[number];

/** The value of a summary in a column; null: it has none. */
export function valueOf(summary: Summary, column: Exclude<SummaryColumn, "metric">): number | null {
  if (column !== "mean") return numberOf(summary[column] ?? undefined);
  const total = numberOf(summary.total);
  return total === null || summary.count === 0 ? null : total / summary.count;
}

/** Sort by a column, "-" before it for the largest first. NaN and what is missing stand at the end in both directions. */
export function sorted(summaries: readonly Summary[], sort: string): readonly Summary[] {
  const column = COLUMNS.find((one) => one === sort.replace(/^-/, ""));
  const way = sort.startsWith("-") ? -1 : 1;
  const byName = (a: Summary, b: Summary) => NAMES.compare(a.metric, b.metric);
  if (column === undefined || column === "metric") return [...summaries].sort((a, b) => way * byName(a, b));
  const keyed = summaries.map((summary) => ({ summary, value: valueOf(summary, column) ?? Number.NaN }));
  keyed.sort((a, b) => {
    const [gapA, gapB] = [Number.isNaN(a.value), Number.isNaN(b.value)];
    if (gapA !== gapB) return gapA ? 1 : -1;
    if (gapA || a.value === b.value) return byName(a.summary, b.summary);
    return way * (a.value < b.value ? -1 : 1);
  });
  return keyed.map(({ summary }) => summary);
}

const NAMES = new Intl.Collator("en", { numeric: true });

/** The next way to sort by a column: the largest first, then the smallest, then by name. */
export function nextSort(sort: string, column: SummaryColumn): string {
  if (column === "metric") return sort === "metric" || sort === "" ? "-metric" : "";
  if (sort === `-${column}`) return column;
  return sort === column ? "" : `-${column}`;
}
