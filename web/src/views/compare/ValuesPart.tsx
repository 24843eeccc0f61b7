import { compared, type CompareRow, type SectionName, textOf } from "../../data/comparison.ts";
import type { Logged, Run } from "../../data/types.ts";
import { numberOf, textOfCount, textOfDuration, textOfMoment, textOfNumber, textOfValue } from "../../data/values.ts";
import { colourOf } from "../../state/colours.ts";
import { addressOf } from "../../state/routes.ts";
import { useServices } from "../../state/services.ts";
import { Link } from "../../ui/Link.tsx";
import { Table, type TableColumn } from "../../ui/Table.tsx";
import { firstWidth } from "../../ui/windows.ts";
import type { CompareState } from "./state.ts";

interface ValuesPartProps {
  readonly runs: readonly Run[];
  readonly state: CompareState;
}

/** A heading, or a row of values. */
type Line = { readonly heading: SectionName; readonly shown: number; readonly all: number } | CompareRow;

const HEADINGS: Readonly<Record<SectionName, string>> = {
  run: "Run",
  parameters: "Parameters",
  metrics: "Last values of metrics",
  values: "Other values",
  environment: "Environment",
  packages: "Packages",
};

/** Runs as columns, what they have as rows: only rows that differ, unless all are wanted. */
export function ValuesPart({ runs, state }: ValuesPartProps) {
  const rows = compared(runs);
  const find = state.find.value.trim().toLowerCase();
  const isFound = ({ name }: CompareRow) => name.toLowerCase().includes(find);
  const shown = rows.filter((row) => isFound(row) && (state.all.value || row.differs));
  const differing = rows.filter(({ differs }) => differs).length;
  return (
    <>
      <div class="bar">
        <input
          type="search"
          class="find"
          aria-label="Find a row by its name"
          placeholder="Find a row by its name"
          value={state.find.value}
          onInput={(event) => state.find.set(event.currentTarget.value, "replace")}
        />
        <label>
          <input type="checkbox" checked={!state.all.value} onChange={() => state.all.set(!state.all.value)} /> Only what differs
        </label>
        <span class="soft" aria-live="polite">
          {textOfCount(differing)} of {textOfCount(rows.length)} rows differ
        </span>
      </div>
      <ValuesTable runs={runs} lines={linesOf(shown, rows)} state={state} />
    </>
  );
}

function linesOf(shown: readonly CompareRow[], rows: readonly CompareRow[]): readonly Line[] {
  const lines: Line[] = [];
  let section: SectionName | null = null;
  for (const row of shown) {
    if (row.section !== section) {
      section = row.section;
      const of = (some: readonly CompareRow[]) => some.filter((one) => one.section === row.section).length;
      lines.push({ heading: row.section, shown: of(shown), all: of(rows) });
    }
    lines.push(row);
  }
  return lines;
}

interface ValuesTableProps {
  readonly runs: readonly Run[];
  readonly lines: readonly Line[];
  readonly state: CompareState;
}

function ValuesTable({ runs, lines, state }: ValuesTableProps) {
  const { theme } = useServices();
  const dark = theme.shade.value === "dark";
  const columns: readonly TableColumn<Line>[] = [
    { id: "name", title: "Name", width: firstWidth(230), isPinned: true, isNumber: false, cell: (line) => <LineName line={line} /> },
    ...runs.map((run, at) => ({
      id: run.run,
      title: run.name,
      width: 170,
      isPinned: false,
      isNumber: false,
      head: <RunHead run={run} dark={dark} state={state} />,
      cell: (line: Line) => ("heading" in line ? null : <Cell row={line} at={at} />),
    })),
  ];
  if (lines.length === 0) {
    return <p class="waiting">{state.find.value === "" ? "These runs have the same in every row." : "No such row has that in its name."}</p>;
  }
  return (
    <Table<Line>
      label="Values of runs"
      columns={columns}
      rows={lines}
      total={lines.length}
      keyOf={(line) => ("heading" in line ? line.heading : `${line.section} ${line.name}`)}
      rowClass={(line) => ("heading" in line ? "row-heading" : "")}
    />
  );
}

function LineName({ line }: { readonly line: Line }) {
  if ("heading" in line) {
    return (
      <strong class="ellipsis">
        {HEADINGS[line.heading]} <span class="soft">{line.shown === line.all ? line.all : `${line.shown} of ${line.all}`}</span>
      </strong>
    );
  }
  return (
    <span class="ellipsis" title={line.name}>
      {line.name}
    </span>
  );
}

function RunHead({ run, dark, state }: { readonly run: Run; readonly dark: boolean; readonly state: CompareState }) {
  const leave = () => state.runs.set(state.runs.value.filter((id) => id !== run.run));
  return (
    <span class="run-name">
      <span class="swatch" aria-hidden="true" ref={(element) => element?.style.setProperty("--swatch", colourOf(run.run, dark))} />
      <Link to={addressOf(run.workspace, run.project, run.run)} class="ellipsis" title={run.name}>
        {run.name}
      </Link>
      <button type="button" class="icon" aria-label={`Compare without ${run.name}`} title="Compare without it" onClick={leave}>
        ×
      </button>
    </span>
  );
}

/** What differs from the first run stands out. */
function Cell({ row, at }: { readonly row: CompareRow; readonly at: number }) {
  const value = row.values[at];
  const isOther = at > 0 && row.differs && textOf(value) !== textOf(row.values[0]);
  const text = shownText(row, value);
  return (
    <span class={`ellipsis ${isOther ? "differs" : ""}`} title={typeof value === "number" ? String(value) : text}>
      {text === "" ? <span class="soft">–</span> : text}
    </span>
  );
}

function shownText(row: CompareRow, value: Logged | undefined): string {
  if (value === undefined || value === null) return "";
  if (row.section === "run" && row.name.endsWith("_at")) return textOfMoment(String(value));
  if (row.section === "run" && row.name === "duration_s") return textOfDuration(numberOf(value) ?? 0);
  if (row.section === "run" && Array.isArray(value)) return value.map(textOfValue).join(", ");
  const number = numberOf(value);
  // A parameter that is rounded is another one; of a metric the first digits are what is compared.
  if (number !== null && Number.isFinite(number)) return row.section === "metrics" ? textOfNumber(number, 6) : String(number);
  return textOfValue(value);
}
