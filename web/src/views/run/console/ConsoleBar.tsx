import type { OutputWriter } from "../../../data/output.ts";
import { messageOf } from "../../../data/problem.ts";
import { textOfCount } from "../../../data/values.ts";
import { Notice } from "../../../ui/Notice.tsx";
import { useRun } from "../context.ts";
import type { Found } from "./matches.ts";

interface ConsoleBarProps {
  readonly writers: readonly OutputWriter[];
  readonly total: number | null;
  readonly found: Found | null;
  readonly goTo: (line: number) => void;
  readonly follow: () => void;
  readonly isFollowed: boolean;
}

/** Searching, and which lines are shown. */
export function ConsoleBar({ writers, total, found, goTo, follow, isFollowed }: ConsoleBarProps) {
  const { state, detail } = useRun();
  const ranks = new Map(detail.writers.flatMap(({ writer, rank }) => (rank === null ? [] : [[writer.slice(0, 16), rank] as const])));
  const step = async (way: 1 | -1) => {
    const number = await found?.from(state.line.value ?? (way === 1 ? 0 : (total ?? 0) + 1), way);
    if (typeof number === "number") goTo(number);
  };
  const error = found?.error.value ?? null;
  return (
    <div class="bar">
      <input
        type="search"
        class="find"
        aria-label="Find in the output"
        placeholder="Find in all lines"
        value={state.find.value}
        onInput={(event) => state.find.set(event.currentTarget.value, "replace")}
        onKeyDown={(event) => {
          if (event.key !== "Enter") return;
          event.preventDefault();
          void step(event.shiftKey ? -1 : 1);
        }}
      />
      <button
        type="button"
        class="chip"
        aria-pressed={state.matchCase.value}
        title="Capital letters count"
        onClick={() => state.matchCase.set(!state.matchCase.value, "replace")}
      >
        Aa
      </button>
      <button
        type="button"
        class="chip"
        aria-pressed={state.regex.value}
        title="The text is a regular expression (RE2)"
        onClick={() => state.regex.set(!state.regex.value, "replace")}
      >
        .*
      </button>
      {found === null ? null : (
        <>
          <span class="soft" aria-live="polite">
            {found.count.value === null ? "searching" : found.count.value === 1 ? "1 line" : `${textOfCount(found.count.value)} lines`}
          </span>
          <button type="button" class="plain-button" title="The line before that matches (Shift+Enter)" aria-label="Previous line that matches" onClick={() => void step(-1)}>
            ↑
          </button>
          <button type="button" class="plain-button" title="The next line that matches (Enter)" aria-label="Next line that matches" onClick={() => void step(1)}>
            ↓
          </button>
          <button type="button" class="chip" aria-pressed={state.only.value} onClick={() => state.only.set(!state.only.value, "replace")}>
            Only these
          </button>
        </>
      )}
      <select aria-label="Stream" value={state.stream.value} onChange={(event) => choose({ stream: event.currentTarget.value })}>
        <option value="">Both streams</option>
        <option value="stdout">stdout</option>
        <option value="stderr">stderr</option>
      </select>
      {writers.length < 2 ? null : (
        <select aria-label="Writer" value={state.writer.value} onChange={(event) => choose({ writer: event.currentTarget.value })}>
          <option value="">All writers</option>
          {writers.map((one) => (
            <option key={one.writer} value={one.writer}>
              {nameOf(one, ranks)}
            </option>
          ))}
        </select>
      )}
      <button type="button" class="chip" aria-pressed={state.times.value} onClick={() => state.times.set(!state.times.value, "replace")}>
        Times
      </button>
      <button type="button" class="plain-button" disabled={isFollowed} onClick={follow}>
        To the end
      </button>
      {error === null ? null : <Notice kind="bad">{messageOf(error)}</Notice>}
    </div>
  );

  /** Lines of others have other numbers: none stays chosen. */
  function choose(changes: Readonly<Record<string, string>>): void {
    const given = Object.fromEntries(Object.entries(changes).map(([name, value]) => [name, value === "" ? null : value]));
    state.address.change({ ...given, ...state.line.with(null) });
  }
}

function nameOf({ writer, lines }: OutputWriter, ranks: ReadonlyMap<string, number>): string {
  const rank = ranks.get(writer);
  return `${rank === undefined ? writer : `rank ${rank}`} (${textOfCount(lines)} lines)`;
}
