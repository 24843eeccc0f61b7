import { type Signal, useSignal, useSignalEffect } from "@preact/signals";
import { useEffect, useMemo } from "preact/hooks";

import { linesOf, LineStore, type Printed, printersOf } from "../../../data/output.ts";
import { messageOf } from "../../../data/problem.ts";
import { textOfCount } from "../../../data/values.ts";
import { useLoaded } from "../../../state/loading.ts";
import { useServices } from "../../../state/services.ts";
import { type Goal, Lines } from "../../../ui/Lines.tsx";
import { Notice } from "../../../ui/Notice.tsx";
import { useRun } from "../context.ts";
import { ConsoleBar } from "./ConsoleBar.tsx";
import { ConsoleLine } from "./ConsoleLine.tsx";
import { type Found, useMatches } from "./matches.ts";
import { WholeLine } from "./WholeLine.tsx";

/** How often a console that is followed looks for new lines, in milliseconds. */
const FOLLOW_MS = 1000;

/** What the run printed: any number of lines, searched on the server, followed at their end. */
export function ConsoleTab() {
  const { run, state, everyMs } = useRun();
  const { client } = useServices();
  const printers = useLoaded((signal) => printersOf(client, run, signal), run, everyMs === null ? null : 10_000);
  const writers = printers.value.value ?? [];
  const printed: Printed = { run, writer: state.writer.value || null, stream: state.stream.value || null };
  const key = JSON.stringify(printed);
  const store = useMemo(() => new LineStore((from, limit, signal) => linesOf(client, printed, { line: from }, limit, signal)), [key]);
  const isSteady = writers.length < 2 || printed.writer !== null;
  useEffect(() => store.steady(isSteady), [store, isSteady]);
  const goal = useSignal<Goal | null>(state.line.value === null ? "end" : { line: state.line.value - 1 });
  const isFollowed = useSignal(goal.peek() === "end");
  useEffect(() => {
    void store.grow();
    const timer = everyMs === null ? null : setInterval(() => document.hidden || void store.grow(), FOLLOW_MS);
    return () => {
      if (timer !== null) clearInterval(timer);
      store.end();
    };
  }, [store, everyMs]);
  const moment = useMoment(printed, goal, isFollowed);
  const found = useMatches(printed);
  const goTo = (line: number) => {
    isFollowed.value = false;
    goal.value = { line: line - 1 };
    state.line.set(line, "replace");
  };
  const follow = () => {
    isFollowed.value = true;
    goal.value = "end";
    state.line.set(null, "replace");
  };
  const error = store.error.value ?? printers.error.value;
  const chosen = state.line.value === null ? undefined : store.line(state.line.value);
  store.version.value;
  return (
    <>
      <ConsoleBar writers={writers} total={store.total.value} found={found} goTo={goTo} follow={follow} isFollowed={isFollowed.value} />
      {error === null ? null : <Notice kind="bad">{messageOf(error)}</Notice>}
      {moment === null ? null : <Notice kind="quiet">{moment}</Notice>}
      {store.total.value === 0 ? (
        <p class="waiting">Nothing was printed, or the run does not capture its console.</p>
      ) : state.only.value && found !== null ? (
        <Matches found={found} goTo={goTo} />
      ) : (
        <Lines
          label="Console"
          total={store.total.value ?? 0}
          goal={goal.value}
          onShown={(first, end) => void store.need(first + 1, end + 1)}
          onMove={(isAtEnd) => {
            isFollowed.value = isAtEnd;
            goal.value = isAtEnd ? "end" : null;
          }}
          line={(at) => <ConsoleLine line={store.line(at + 1)} number={at + 1} search={found?.search ?? null} onPick={() => goTo(at + 1)} />}
        />
      )}
      {chosen === undefined ? null : <WholeLine line={chosen} onClose={() => state.line.set(null, "replace")} />}
      <p class="console-foot soft" aria-live="polite">
        {store.total.value === null ? "" : `${textOfCount(store.total.value)} lines`}
        {everyMs !== null && isFollowed.value ? ", following" : ""}
      </p>
    </>
  );
}

/** Go to the first line at or behind the moment in the address. Returns what to tell about it. */
function useMoment(printed: Printed, goal: Signal<Goal | null>, isFollowed: Signal<boolean>): string | null {
  const { client } = useServices();
  const { state } = useRun();
  const told = useSignal<string | null>(null);
  const at = state.at.value;
  useEffect(() => {
    if (at === "") return undefined;
    const ending = new AbortController();
    linesOf(client, printed, { time: at }, 1, ending.signal).then(
      ({ lines, total }) => {
        const number = lines[0]?.number ?? total;
        told.value = lines.length === 0 ? "Nothing was printed at that moment or later." : null;
        isFollowed.value = false;
        goal.value = { line: number - 1 };
        state.address.change({ ...state.at.with(""), ...state.line.with(number) }, "replace");
      },
      (error: unknown) => {
        if (!ending.signal.aborted) told.value = messageOf(error);
      },
    );
    return () => ending.abort();
  }, [at]);
  return told.value;
}

function Matches({ found, goTo }: { readonly found: Found; readonly goTo: (line: number) => void }) {
  const { state } = useRun();
  const goal = useSignal<Goal | null>(null);
  useSignalEffect(() => {
    if (found.rows.value.length === 0) goal.value = { line: 0 };
  });
  const rows = found.rows.value;
  const pick = (number: number) => {
    state.only.set(false, "replace");
    goTo(number);
  };
  return (
    <Lines
      label="Lines that match"
      total={rows.length}
      goal={goal.value}
      onShown={(_, end) => {
        if (end >= rows.length) found.more();
      }}
      onMove={() => {
        goal.value = null;
      }}
      line={(at) => <ConsoleLine line={rows[at]} number={rows[at]?.number ?? 0} search={found.search} onPick={() => pick(rows[at]?.number ?? 1)} />}
    />
  );
}
