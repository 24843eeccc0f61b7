import { summariesOf } from "../../data/details.ts";
import { messageOf } from "../../data/problem.ts";
import type { Summary } from "../../data/types.ts";
import { textOfCount, textOfNumber } from "../../data/values.ts";
import { useLoaded } from "../../state/loading.ts";
import { useServices } from "../../state/services.ts";
import { Link } from "../../ui/Link.tsx";
import { Notice } from "../../ui/Notice.tsx";
import { Table, type TableColumn } from "../../ui/Table.tsx";
import { firstWidth } from "../../ui/windows.ts";
import { useRun } from "./context.ts";
import { FindField } from "./FindField.tsx";
import { COLUMNS, nextSort, sorted, type SummaryColumn, valueOf } from "./metrics.ts";

const TITLES: Readonly<Record<SummaryColumn, string>> = {
  metric: "Metric",
  last: "Last",
  minimum: "Min",
  maximum: "Max",
  mean: "Mean",
  std: "Std",
  first: "First",
  count: "Points",
  nan_count: "NaN",
  last_step: "Last step",
};
const DIGITS = 5;

/** Summaries of all metrics, each over all of its points. */
export function MetricsTab() {
  const { client } = useServices();
  const { run, when, everyMs, state } = useRun();
  const key = JSON.stringify([run, when]);
  const loaded = useLoaded((signal) => summariesOf(client, [run], when, signal), key, everyMs);
  const all = loaded.value.value;
  const find = state.find.value.trim().toLowerCase();
  const error = loaded.error.value;
  const sort = state.sort.value;
  const rows = sorted((all ?? []).filter(({ metric }) => metric.toLowerCase().includes(find)), sort);
  return (
    <>
      <FindField label="Find a metric by its name">
        {all === null ? null : (
          <span class="soft" aria-live="polite">
            {textOfCount(rows.length)} of {textOfCount(all.length)}
          </span>
        )}
      </FindField>
      {error === null ? null : <Notice kind="bad">{messageOf(error)}</Notice>}
      {all?.length === 0 ? (
        <p class="waiting">This run has no metrics yet. `run.log` logs them.</p>
      ) : (
        <Table<Summary>
          label="Metrics"
          columns={COLUMNS.map((column) => columnOf(column, sort))}
          rows={rows}
          total={rows.length}
          keyOf={(row) => row.metric}
          onSort={(column) => state.sort.set(nextSort(sort, column.id as SummaryColumn))}
        />
      )}
    </>
  );
}

function columnOf(column: SummaryColumn, sort: string): TableColumn<Summary> {
  const order = sort === column ? "ascending" : sort === `-${column}` ? "descending" : undefined;
  const isName = column === "metric";
  return {
    id: column,
    title: TITLES[column],
    width: isName ? firstWidth(240) : 116,
    isPinned: isName,
    isNumber: !isName,
    sorted: isName && sort === "" ? "ascending" : order,
    cell: (row) =>
      isName ? (
        <span class="ellipsis" title={row.metric}>
          {row.metric}
        </span>
      ) : (
        <Cell summary={row} column={column} />
      ),
  };
}

function Cell({ summary, column }: { readonly summary: Summary; readonly column: Exclude<SummaryColumn, "metric"> }) {
  const { state } = useRun();
  const value = valueOf(summary, column);
  if (value === null || (column === "nan_count" && value === 0)) return null;
  const isOdd = !Number.isFinite(value) || column === "nan_count";
  const text = Number.isInteger(value) && COUNTS.has(column) ? textOfCount(value) : textOfNumber(value, DIGITS);
  const moment = momentOf(summary, column);
  const name = isOdd ? "ellipsis odd" : "ellipsis";
  if (moment === null) {
    return (
      <span class={name} title={String(value)}>
        {text}
      </span>
    );
  }
  return (
    <Link to={state.to("console", moment.at)} class={`${name} quiet-link`} title={`${value} at step ${moment.step}: show what was printed then`}>
      {text}
    </Link>
  );
}

const COUNTS: ReadonlySet<string> = new Set(["count", "nan_count", "last_step"]);

/** When a value was logged, where that is known. */
function momentOf(summary: Summary, column: SummaryColumn): { readonly at: string; readonly step: number } | null {
  if (column === "minimum") return { at: summary.minimum_at, step: summary.minimum_step };
  if (column === "maximum") return { at: summary.maximum_at, step: summary.maximum_step };
  return column === "last" ? { at: summary.last_at, step: summary.last_step } : null;
}
