import { useMemo } from "preact/hooks";

import type { RunList } from "../../data/runs.ts";
import { Sparks } from "../../data/sparks.ts";
import type { Run } from "../../data/types.ts";
import { numberOf, textOfAge, textOfDuration, textOfMoment, textOfValue } from "../../data/values.ts";
import { colourOf } from "../../state/colours.ts";
import { addressOf } from "../../state/routes.ts";
import { toggled } from "../../state/lists.ts";
import { useServices } from "../../state/services.ts";
import { nowMs } from "../../ui/Clock.ts";
import { Link } from "../../ui/Link.tsx";
import { SparkPicture } from "../../ui/Spark.tsx";
import { Status } from "../../ui/Status.tsx";
import { Table, type TableColumn } from "../../ui/Table.tsx";
import { type ColumnKind, kindOf, ownText } from "./columns.ts";
import { nextSort, type ProjectState } from "./state.ts";

interface RunTableProps {
  readonly list: RunList;
  readonly state: ProjectState;
  /** The columns besides the name. */
  readonly columns: readonly string[];
  /** The runs whose curves are drawn. */
  readonly drawn: ReadonlySet<string>;
}

const NAME_WIDTH = 230;
const UPDATES: Readonly<Record<string, keyof Run>> = {
  created: "created_at",
  started: "started_at",
  ended: "ended_at",
  updated: "updated_at",
};

/** The runs of a project, one a row. */
export function RunTable({ list, state, columns: chosen, drawn }: RunTableProps) {
  const { address, client, theme } = useServices();
  const sparks = useMemo(() => new Map<string, Sparks>(), []);
  const dark = theme.shade.value === "dark";
  const pinned = state.pinned.value;
  const sparksOf = (metric: string): Sparks => {
    const known = sparks.get(metric) ?? new Sparks(client, metric);
    sparks.set(metric, known);
    return known;
  };
  const named = chosen.map((column) => ({
    ...columnOf(column, state, sparksOf, dark),
    isPinned: pinned.includes(column),
  }));
  const columns = [nameColumn(state, dark, drawn), ...named];
  const rows = list.rows.value;
  return (
    <Table<Run>
      label="Runs"
      columns={columns}
      rows={rows}
      total={Math.max(rows.length, list.total.value ?? 0)}
      keyOf={(run) => run.run}
      onNeed={(count) => list.need(count)}
      onOpen={(run) => address.go(addressOf(run.workspace, run.project, run.run))}
      onToggle={(run) => state.ticked.set(toggled(state.ticked.value, run.run))}
      onHover={(run) => {
        state.highlighted.value = run?.run ?? null;
      }}
      onSort={(column) => {
        const field = column.id === "name" ? "name" : kindOf(column.id).sort;
        if (field !== null) state.sort.set(nextSort(state.sort.value, field));
      }}
      rowClass={(run) => (state.highlighted.value === run.run ? "row-lit" : "")}
    />
  );
}

function sortedBy(state: ProjectState, field: string | null): "ascending" | "descending" | undefined {
  if (field === null) return undefined;
  const [first = ""] = state.sort.value.split(",");
  if (first === field) return "ascending";
  return first === `-${field}` ? "descending" : undefined;
}

function nameColumn(state: ProjectState, dark: boolean, drawn: ReadonlySet<string>): TableColumn<Run> {
  return {
    id: "name",
    title: "Name",
    width: NAME_WIDTH,
    isPinned: true,
    isNumber: false,
    sorted: sortedBy(state, "name"),
    cell: (run) => {
      const isHidden = state.hidden.value.includes(run.run);
      const isDrawn = drawn.has(run.run) && !isHidden;
      return (
        <span class="run-name">
          <input
            type="checkbox"
            tabIndex={-1}
            aria-label={`Select ${run.name}`}
            checked={state.ticked.value.includes(run.run)}
            onChange={() => state.ticked.set(toggled(state.ticked.value, run.run))}
          />
          <button
            type="button"
            tabIndex={-1}
            class={isDrawn ? "swatch" : "swatch swatch-off"}
            aria-pressed={isDrawn}
            aria-label={`Draw the curves of ${run.name}`}
            title={isDrawn ? "Its curves are drawn: hide them" : "Its curves are not drawn: draw them"}
            ref={(element) => element?.style.setProperty("--swatch", colourOf(run.run, dark))}
            onClick={() => state.hidden.set(toggled(state.hidden.value, run.run))}
          />
          <Link to={addressOf(run.workspace, run.project, run.run)} class="ellipsis" title={run.name}>
            {run.name}
          </Link>
        </span>
      );
    },
  };
}

function columnOf(
  column: string,
  state: ProjectState,
  sparksOf: (metric: string) => Sparks,
  dark: boolean,
): TableColumn<Run> {
  const kind = kindOf(column);
  const { curve } = kind;
  return {
    id: column,
    title: kind.title,
    width: kind.width,
    isPinned: false,
    isNumber: kind.isNumber,
    sorted: sortedBy(state, kind.sort),
    cell: (run) =>
      curve === null ? (
        <Cell run={run} column={column} kind={kind} />
      ) : (
        <Curve run={run} sparks={sparksOf(curve)} colour={colourOf(run.run, dark)} />
      ),
  };
}

function Cell({ run, column, kind }: { readonly run: Run; readonly column: string; readonly kind: ColumnKind }) {
  if (kind.asked !== null) {
    const value = run.columns[kind.asked];
    const number = numberOf(value);
    const text = textOfValue(value);
    const name = number !== null && !Number.isFinite(number) ? "ellipsis odd" : "ellipsis";
    return (
      <span class={name} title={number === null ? text : String(number)}>
        {text}
      </span>
    );
  }
  if (column === "status") return <Status status={run.status} message={run.message} />;
  if (column === "duration") return <span>{textOfDuration(run.duration_s)}</span>;
  if (column === "tags") return <Tags tags={run.tags} />;
  const at = UPDATES[column];
  if (at !== undefined) return <Moment at={run[at] as string | null} />;
  const text = ownText(run, column);
  return (
    <span class="ellipsis" title={text}>
      {text}
    </span>
  );
}

function Curve({ run, sparks, colour }: { readonly run: Run; readonly sparks: Sparks; readonly colour: string }) {
  const spark = sparks.of(run).value;
  return spark === null ? null : <SparkPicture spark={spark} colour={colour} />;
}

function Moment({ at }: { readonly at: string | null }) {
  if (at === null) return null;
  return (
    <time dateTime={at} title={textOfMoment(at)}>
      {textOfAge(at, nowMs.value)}
    </time>
  );
}

function Tags({ tags }: { readonly tags: readonly string[] }) {
  return (
    <span class="tags" title={tags.join(", ")}>
      {tags.map((tag) => (
        <span class="tag" key={tag}>
          {tag}
        </span>
      ))}
    </span>
  );
}
