import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";

import { fieldsOf } from "../../data/fields.ts";
import { isAborted, messageOf } from "../../data/problem.ts";
import type { Field } from "../../data/types.ts";
import { AGGREGATES, fieldOf } from "../../state/filters.ts";
import { toggled } from "../../state/lists.ts";
import { useServices } from "../../state/services.ts";
import { Menu } from "../../ui/Menu.tsx";
import { Notice } from "../../ui/Notice.tsx";
import { kindOf, OF_RUNS } from "./columns.ts";
import type { ProjectState } from "./state.ts";

interface ColumnMenuProps {
  readonly workspace: string;
  readonly project: string;
  readonly state: ProjectState;
  /** The columns that are shown. */
  readonly shown: readonly string[];
}

const NAMES = 200;
const PAUSE_MS = 150;

/** Chooses, orders and pins the columns of the table. */
export function ColumnMenu(props: ColumnMenuProps) {
  return (
    <Menu label="Columns" title="Choose the columns of the table" align="end">
      <Columns {...props} />
    </Menu>
  );
}

function Columns({ workspace, project, state, shown: chosen }: ColumnMenuProps) {
  const { client } = useServices();
  const search = useSignal("");
  const fields = useSignal<readonly Field[]>([]);
  const failed = useSignal<string | null>(null);
  useEffect(() => {
    const ending = new AbortController();
    const timer = setTimeout(() => {
      const question = { workspace, project, kinds: ["metric", "param", "other"] as const, values: 0, limit: NAMES };
      fieldsOf(client, { ...question, prefix: search.value }, ending.signal).then(
        (found) => {
          fields.value = found.fields;
        },
        (error: unknown) => {
          if (!isAborted(error)) failed.value = messageOf(error);
        },
      );
    }, PAUSE_MS);
    return () => {
      clearTimeout(timer);
      ending.abort();
    };
  }, [search.value]);
  const toggle = (column: string) => state.columns.set(toggled(chosen, column));
  const move = (column: string, by: number) => {
    const at = chosen.indexOf(column);
    const rest = chosen.filter((one) => one !== column);
    state.columns.set([...rest.slice(0, at + by), column, ...rest.slice(at + by)]);
  };
  const own = Object.keys(OF_RUNS).filter((name) => name.includes(search.value) && !chosen.includes(name));
  return (
    <div class="columns-menu">
      <ul class="chosen" aria-label="Columns that are shown">
        {chosen.map((column, at) => (
          <li key={column}>
            <span class="ellipsis" title={column}>
              {kindOf(column).curve === null ? kindOf(column).title : `${kindOf(column).title} (curve)`}
            </span>
            <button type="button" class="icon" disabled={at === 0} aria-label={`Move ${column} to the left`} onClick={() => move(column, -1)}>
              ←
            </button>
            <button
              type="button"
              class="icon"
              disabled={at === chosen.length - 1}
              aria-label={`Move ${column} to the right`}
              onClick={() => move(column, 1)}
            >
              →
            </button>
            <button
              type="button"
              class="icon"
              aria-pressed={state.pinned.value.includes(column)}
              aria-label={`Keep ${column} at the left`}
              title="Keep at the left"
              onClick={() => state.pinned.set(toggled(state.pinned.value, column))}
            >
              ⇤
            </button>
            <button type="button" class="icon" aria-label={`Take ${column} away`} onClick={() => toggle(column)}>
              ×
            </button>
          </li>
        ))}
      </ul>
      <input
        type="search"
        aria-label="Find a column by the beginning of its name"
        placeholder="Add: the beginning of a name"
        value={search.value}
        onInput={(event) => {
          search.value = event.currentTarget.value;
        }}
      />
      {failed.value === null ? null : <Notice kind="bad">{failed.value}</Notice>}
      <ul class="found" aria-label="Columns that can be added">
        {fields.value.map((field) => (
          <FoundField key={field.field} field={field} chosen={chosen} toggle={toggle} />
        ))}
        {own.map((name) => (
          <li key={name}>
            <button type="button" class="quiet" onClick={() => toggle(name)}>
              {name}
            </button>
          </li>
        ))}
      </ul>
    </div>
  );
}

interface FoundFieldProps {
  readonly field: Field;
  readonly chosen: readonly string[];
  readonly toggle: (column: string) => void;
}

function FoundField({ field, chosen, toggle }: FoundFieldProps) {
  if (field.kind !== "metric") {
    if (chosen.includes(field.field)) return null;
    return (
      <li>
        <button type="button" class="quiet" title={field.field} onClick={() => toggle(field.field)}>
          {field.field}
        </button>
      </li>
    );
  }
  const choices = [
    ["curve", `curve:${field.name}`] as const,
    ...AGGREGATES.map((one) => [one, fieldOf("metric", field.name, one)] as const),
  ];
  return (
    <li class="metric-choices">
      <span class="ellipsis" title={field.name}>
        {field.name}
      </span>
      <span>
        {choices.map(([word, column]) => (
          <button
            key={word}
            type="button"
            class="chip"
            aria-pressed={chosen.includes(column)}
            aria-label={`${word} of ${field.name}`}
            onClick={() => toggle(column)}
          >
            {word}
          </button>
        ))}
      </span>
    </li>
  );
}
