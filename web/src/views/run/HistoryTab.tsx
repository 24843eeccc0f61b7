import { useSignal } from "@preact/signals";
import { useEffect, useMemo } from "preact/hooks";

import { type HistoryEvent, historyOf } from "../../data/details.ts";
import { Pages } from "../../data/pages.ts";
import { messageOf } from "../../data/problem.ts";
import { textOfMoment } from "../../data/values.ts";
import { useServices } from "../../state/services.ts";
import { Copy } from "../../ui/Copy.tsx";
import { Notice } from "../../ui/Notice.tsx";
import { Table, type TableColumn } from "../../ui/Table.tsx";
import { useRun } from "./context.ts";
import { describe } from "./history.ts";

/** The run's control events in the order of the log; Enter shows one whole. */
export function HistoryTab() {
  const { client } = useServices();
  const { run, detail } = useRun();
  const chosen = useSignal<HistoryEvent | null>(null);
  const pages = useMemo(
    () => new Pages((cursor, signal) => historyOf(client, run, cursor, signal).then((page) => ({ rows: page.events, next: page.next_cursor }))),
    [run],
  );
  useEffect(() => () => pages.end(), [pages]);
  // The newest change may be an event that was not there yet when the last page was read.
  useEffect(() => pages.grow(), [pages, detail.run.updated_at]);
  const rows = pages.rows.value;
  const error = pages.error.value;
  const open = (row: HistoryEvent) => {
    chosen.value = chosen.value === row ? null : row;
  };
  return (
    <>
      {error === null ? null : <Notice kind="bad">{messageOf(error)}</Notice>}
      <Table<HistoryEvent>
        label="Events"
        columns={COLUMNS}
        rows={rows}
        total={pages.isWhole.value ? rows.length : rows.length + 1}
        keyOf={(row) => `${row.writer} ${row.seq} ${row.position}`}
        onNeed={(count) => pages.need(count)}
        onOpen={open}
        onToggle={open}
        onPick={open}
        rowClass={(row) => (row === chosen.value ? "row-lit" : "")}
      />
      {chosen.value === null ? null : <Whole event={chosen.value} onClose={() => (chosen.value = null)} />}
    </>
  );
}

function Whole({ event, onClose }: { readonly event: HistoryEvent; readonly onClose: () => void }) {
  const json = () => JSON.stringify(event.event, null, 2);
  return (
    <section class="event-whole" aria-label="The event">
      <div class="section-head">
        <h2>{event.type}</h2>
        <code>{event.position}</code>
        <Copy title="the event as JSON" text={json} />
        <button type="button" class="quiet" onClick={onClose}>
          Close
        </button>
      </div>
      <pre tabIndex={0}>{json()}</pre>
    </section>
  );
}

const COLUMNS: readonly TableColumn<HistoryEvent>[] = [
  {
    id: "at",
    title: "Time",
    width: 200,
    isPinned: false,
    isNumber: false,
    cell: (row) => <time dateTime={row.at}>{textOfMoment(row.at)}</time>,
  },
  {
    id: "what",
    title: "Event",
    width: 560,
    isPinned: false,
    isNumber: false,
    cell: (row) => (
      <span class="ellipsis" title={row.type}>
        {describe(row)}
      </span>
    ),
  },
  {
    id: "writer",
    title: "Writer",
    width: 130,
    isPinned: false,
    isNumber: false,
    cell: (row) => (
      <code class="ellipsis" title={row.writer}>
        {row.writer.slice(0, 12)}
      </code>
    ),
  },
];
