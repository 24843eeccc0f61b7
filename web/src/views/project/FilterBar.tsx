import { useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";

import { fieldsOf } from "../../data/fields.ts";
import { isAborted, type Problem } from "../../data/problem.ts";
import type { Field } from "../../data/types.ts";
import { textOfCount, textOfValue } from "../../data/values.ts";
import { type Expected, expectedAt, quoted } from "../../state/filters.ts";
import { useServices } from "../../state/services.ts";

interface FilterBarProps {
  readonly workspace: string;
  readonly project: string;
  readonly value: string;
  readonly onChange: (filter: string) => void;
  /** What is wrong with the filter. */
  readonly error: Problem | null;
}

interface Offer {
  readonly insert: string;
  readonly about: string;
}

/** Pauses in typing after which completions are asked for, in milliseconds. */
const PAUSE_MS = 120;
const OFFERS = 12;
const OPERATORS: readonly Offer[] = [
  { insert: "=", about: "equal" },
  { insert: "!=", about: "not equal, or missing" },
  { insert: "<", about: "less" },
  { insert: "<=", about: "less or equal" },
  { insert: ">", about: "greater" },
  { insert: ">=", about: "greater or equal" },
  { insert: "contains", about: "has the text in it" },
  { insert: "startswith", about: "begins with the text" },
  { insert: "matches", about: "has an RE2 pattern in it" },
  { insert: "in", about: "one of (a, b)" },
  { insert: "between", about: "from a and up to b" },
  { insert: "is null", about: "is missing" },
  { insert: "is not null", about: "is there" },
];
const JOINTS: readonly Offer[] = [
  { insert: "and", about: "both" },
  { insert: "or", about: "either" },
];
const PLAIN: readonly Offer[] = [
  ...["name", "id", "experiment", "user", "host", "notes", "message"].map((insert) => ({ insert, about: "text" })),
  ...["created", "started", "ended", "updated"].map((insert) => ({ insert, about: "time, as now-2h" })),
  { insert: "duration", about: "as 90m" },
  { insert: "archived", about: "stands alone" },
];

/** The filter in one line: Enter applies it, Escape takes the last one back, completions come by themselves. */
export function FilterBar(props: FilterBarProps) {
  const { client } = useServices();
  const typed = useSignal(props.value);
  const offers = useSignal<readonly Offer[]>([]);
  const chosen = useSignal(-1);
  const isOpen = useSignal(false);
  const input = useRef<HTMLInputElement>(null);
  const asking = useRef<AbortController | null>(null);
  const timer = useRef(0);

  useEffect(() => {
    typed.value = props.value;
  }, [props.value]);
  useEffect(() => () => {
    asking.current?.abort();
    clearTimeout(timer.current);
  }, []);

  const before = () => typed.value.slice(0, input.current?.selectionStart ?? typed.value.length);
  const offer = async () => {
    asking.current?.abort();
    const ending = new AbortController();
    asking.current = ending;
    const expected = expectedAt(before());
    try {
      const found = await offersFor(expected, (question) =>
        fieldsOf(client, { workspace: props.workspace, project: props.project, ...question }, ending.signal),
      );
      if (ending.signal.aborted) return;
      offers.value = found.slice(0, OFFERS);
      chosen.value = -1;
    } catch (error) {
      // A completion that cannot be offered is no reason to disturb: applying the filter says what is wrong.
      if (!isAborted(error)) offers.value = [];
    }
  };
  const soon = () => {
    isOpen.value = true;
    clearTimeout(timer.current);
    timer.current = window.setTimeout(() => void offer(), PAUSE_MS);
  };
  const take = (one: Offer) => {
    const { from } = expectedAt(before());
    const caret = input.current?.selectionStart ?? typed.value.length;
    const added = `${one.insert} `;
    typed.value = typed.value.slice(0, from) + added + typed.value.slice(caret).trimStart();
    offers.value = [];
    requestAnimationFrame(() => {
      input.current?.focus();
      input.current?.setSelectionRange(from + added.length, from + added.length);
      soon();
    });
  };
  const apply = () => {
    isOpen.value = false;
    props.onChange(typed.value.trim());
  };
  const onKey = (event: KeyboardEvent) => {
    const shown = isOpen.value ? offers.value : [];
    const one = shown[chosen.value];
    if (event.key === "ArrowDown" && shown.length > 0) chosen.value = (chosen.value + 1) % shown.length;
    else if (event.key === "ArrowUp" && shown.length > 0) chosen.value = (chosen.value + shown.length) % (shown.length + 1) - 1;
    else if ((event.key === "Enter" || event.key === "Tab") && one !== undefined) take(one);
    else if (event.key === "Enter") apply();
    else if (event.key === "Escape" && isOpen.value) isOpen.value = false;
    else if (event.key === "Escape") typed.value = props.value;
    else return;
    event.preventDefault();
  };

  const { error } = props;
  const shown = isOpen.value ? offers.value : [];
  return (
    <div class="filter">
      <input
        ref={input}
        class="filter-input"
        type="text"
        role="combobox"
        aria-label="Filter of runs"
        aria-expanded={shown.length > 0}
        aria-controls="filter-offers"
        aria-activedescendant={shown[chosen.value] === undefined ? undefined : `filter-offer-${chosen.value}`}
        aria-invalid={error !== null}
        aria-describedby={error === null ? undefined : "filter-error"}
        autocomplete="off"
        spellcheck={false}
        placeholder='All runs. Try: metric.val/acc.max > 0.9 and status = "running"'
        value={typed.value}
        onInput={(event) => {
          typed.value = event.currentTarget.value;
          soon();
        }}
        onFocus={soon}
        onBlur={() => {
          isOpen.value = false;
        }}
        onKeyDown={onKey}
      />
      {typed.value === props.value ? null : (
        <button type="button" class="main" onMouseDown={(event) => event.preventDefault()} onClick={apply}>
          Apply
        </button>
      )}
      {props.value === "" ? null : (
        <button type="button" class="quiet" title="Show all runs" onClick={() => props.onChange("")}>
          Clear
        </button>
      )}
      <ul id="filter-offers" role="listbox" aria-label="Completions" class="offers" hidden={shown.length === 0}>
        {shown.map((one, at) => (
          <li
            key={one.insert}
            id={`filter-offer-${at}`}
            role="option"
            aria-selected={at === chosen.value}
            class={at === chosen.value ? "offer offer-chosen" : "offer"}
            onMouseDown={(event) => {
              event.preventDefault();
              take(one);
            }}
          >
            <span class="offer-text">{one.insert}</span>
            <span class="soft">{one.about}</span>
          </li>
        ))}
      </ul>
      {error === null ? null : (
        <pre id="filter-error" class="filter-error" role="alert">
          {pointed(props.value, error.message, error.column)}
        </pre>
      )}
    </div>
  );
}

/** The filter with a mark below the place that is wrong, counted from 1, then what is wrong. */
function pointed(filter: string, message: string, column: number | null): string {
  if (column === null) return message;
  const at = column - 1;
  const from = Math.max(0, at - 60);
  const part = filter.slice(from, from + 120).replace(/\s/g, " ");
  return `${part}\n${" ".repeat(Math.max(0, at - from))}^\n${message}`;
}

interface Asked {
  readonly kinds: readonly Field["kind"][];
  readonly prefix: string;
  readonly values: number;
  readonly limit: number;
}

async function offersFor(
  expected: Expected,
  ask: (question: Asked) => Promise<{ readonly fields: readonly Field[] }>,
): Promise<readonly Offer[]> {
  const begins = (one: Offer) => one.insert.toLowerCase().startsWith(expected.prefix.toLowerCase());
  if (expected.what === "joint") return JOINTS.filter(begins);
  if (expected.what === "operator") return OPERATORS.filter(begins);
  const [kind, name] = partsOf(expected.what === "field" ? expected.prefix : expected.field);
  if (expected.what === "field") {
    const kinds = kind === null ? (["run", "metric", "param", "other"] as const) : [kind];
    const { fields } = await ask({ kinds, prefix: kind === null ? expected.prefix : name, values: 3, limit: 50 });
    const named = fields
      .filter((field) => field.kind !== "run" || begins({ insert: field.field, about: "" }))
      .map((field) => ({ insert: field.field, about: aboutOf(field) }));
    return [...named, ...(kind === null ? PLAIN.filter(begins) : [])];
  }
  const { fields } = await ask({ kinds: [kind ?? "run"], prefix: kind === null ? "" : name, values: 50, limit: 10 });
  const field = fields.find((one) => one.field === expected.field || one.name === expected.field);
  return (field?.values ?? [])
    .map(({ value, runs }) => ({
      insert: typeof value === "string" ? quoted(value) : textOfJson(value),
      about: runs === 1 ? "1 run" : `${textOfCount(runs)} runs`,
    }))
    .filter((one) => one.insert.toLowerCase().includes(expected.prefix.replace(/["']/g, "").toLowerCase()));
}

function textOfJson(value: Field["values"][number]["value"]): string {
  return typeof value === "number" || typeof value === "boolean" ? String(value) : quoted(textOfValue(value));
}

const KIND = /^(metric|param|other|env)\.(.*)$/su;

/** Of `param.l` the kind and the beginning of a name. */
function partsOf(field: string): readonly [Field["kind"] | null, string] {
  const found = KIND.exec(field);
  if (found === null) return [null, field];
  return [found[1] as Field["kind"], (found[2] ?? "").replace(/^"/, "")];
}

function aboutOf(field: Field): string {
  const runs = `${textOfCount(field.runs)} ${field.runs === 1 ? "run" : "runs"}`;
  if (field.min !== null && field.max !== null) {
    return `${runs}, ${textOfValue(field.min)} … ${textOfValue(field.max)}`;
  }
  const some = field.values.slice(0, 3).map((one) => textOfValue(one.value).slice(0, 20));
  return some.length === 0 ? runs : `${runs}: ${some.join(", ")}`;
}
