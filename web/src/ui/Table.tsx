import { useSignal } from "@preact/signals";
import type { ComponentChildren, VNode } from "preact";
import { useEffect, useLayoutEffect, useRef } from "preact/hooks";

import { columnsBetween, placesOf, rowsBetween } from "./windows.ts";

export interface TableColumn<Row> {
  readonly id: string;
  /** The text of its head, which is also its name to screen readers. */
  readonly title: string;
  /** In CSS pixels. */
  readonly width: number;
  /** Stays at the left while the others scroll. */
  readonly isPinned: boolean;
  readonly isNumber: boolean;
  readonly head?: ComponentChildren;
  readonly cell: (row: Row, at: number) => ComponentChildren;
  readonly sorted?: "ascending" | "descending" | undefined;
}

interface TableProps<Row> {
  readonly label: string;
  readonly columns: readonly TableColumn<Row>[];
  readonly rows: readonly Row[];
  /** How many rows there are in all; those behind `rows` are drawn as not loaded yet. */
  readonly total: number;
  readonly keyOf: (row: Row) => string;
  readonly rowHeight?: number;
  readonly onNeed?: (count: number) => void;
  readonly onOpen?: (row: Row, event: MouseEvent | KeyboardEvent) => void;
  readonly onToggle?: (row: Row) => void;
  /** A row was clicked, outside of its buttons and links. */
  readonly onPick?: (row: Row) => void;
  readonly onHover?: (row: Row | null) => void;
  readonly onSort?: (column: TableColumn<Row>, event: MouseEvent | KeyboardEvent) => void;
  readonly rowClass?: (row: Row) => string;
}

const HEAD_HEIGHT = 32;
const ROW_HEIGHT = 28;
/** Rows that are drawn beyond the visible ones, so that scrolling shows no gaps. */
const SPARE_ROWS = 8;
/** No browser lays out elements much higher than this, in CSS pixels. */
const MOST_PIXELS = 15_000_000;

/**
 * A table of any number of rows and columns, of which only what is visible is in the document.
 *
 * Keys: the arrows, Page Up and Down, Home and End move the active row, Enter opens it, Space toggles it.
 */
export function Table<Row>(props: TableProps<Row>): VNode {
  const { columns, rows, total, keyOf } = props;
  const rowHeight = Math.min(props.rowHeight ?? ROW_HEIGHT, MOST_PIXELS / Math.max(1, total));
  const box = useRef<HTMLDivElement>(null);
  const seen = useSignal({ top: 0, left: 0, width: 800, height: 600 });
  const active = useSignal(0);

  const look = () => {
    const at = box.current;
    if (at === null) return;
    const was = seen.peek();
    const now = { top: at.scrollTop, left: at.scrollLeft, width: at.clientWidth, height: at.clientHeight };
    if (was.top !== now.top || was.left !== now.left || was.width !== now.width || was.height !== now.height) {
      seen.value = now;
    }
  };
  useLayoutEffect(look, []);
  useEffect(() => {
    const at = box.current;
    if (at === null) return undefined;
    const observer = new ResizeObserver(look);
    observer.observe(at);
    return () => observer.disconnect();
  }, []);

  const { top, left, width, height } = seen.value;
  const body = Math.max(0, height - HEAD_HEIGHT);
  const [first, end] = rowsBetween(top, body, rowHeight, total, SPARE_ROWS);
  const places = placesOf(columns);
  const shown = columnsBetween(places, left, width);
  useEffect(() => {
    if (end > rows.length && rows.length < total) props.onNeed?.(end);
  }, [end, rows.length, total]);

  const moveTo = (row: number) => {
    const at = Math.max(0, Math.min(total - 1, row));
    active.value = at;
    const element = box.current;
    if (element === null) return;
    const low = at * rowHeight;
    if (low < element.scrollTop) element.scrollTop = low;
    else if (low + rowHeight > element.scrollTop + body) element.scrollTop = low + rowHeight - body;
  };
  const onKey = (event: KeyboardEvent) => {
    if (event.target !== box.current) return;
    const page = Math.max(1, Math.floor(body / rowHeight) - 1);
    const moves: Readonly<Record<string, number>> = {
      ArrowDown: active.value + 1,
      ArrowUp: active.value - 1,
      PageDown: active.value + page,
      PageUp: active.value - page,
      Home: 0,
      End: total - 1,
    };
    const to = moves[event.key];
    const row = rows[active.value];
    if (to !== undefined) moveTo(to);
    else if (event.key === "Enter" && row !== undefined) props.onOpen?.(row, event);
    else if (event.key === " " && row !== undefined) props.onToggle?.(row);
    else return;
    event.preventDefault();
  };

  const drawn: VNode[] = [];
  for (let at = first; at < end; at += 1) {
    const row = rows[at];
    const name = row === undefined ? "row row-waiting" : `row ${props.rowClass?.(row) ?? ""}`;
    drawn.push(
      <div
        key={row === undefined ? `waiting ${at}` : keyOf(row)}
        id={rowId(props.label, at)}
        role="row"
        aria-rowindex={at + 2}
        class={at === active.value ? `${name} row-active` : name}
        style={{ top: `${HEAD_HEIGHT + at * rowHeight}px`, height: `${rowHeight}px`, width: `${places.total}px` }}
        onMouseEnter={() => row !== undefined && props.onHover?.(row)}
        onMouseLeave={() => props.onHover?.(null)}
        onClick={(event) => {
          active.value = at;
          const isOwn = event.target instanceof Element && event.target.closest("a, button, input") !== null;
          if (row !== undefined && !isOwn) props.onPick?.(row);
        }}
      >
        {row === undefined ? null : (
          <Cells columns={columns} places={places} shown={shown} cell={(column) => column.cell(row, at)} role="gridcell" />
        )}
      </div>,
    );
  }
  return (
    <div
      ref={box}
      class="table"
      role="grid"
      aria-label={props.label}
      aria-rowcount={total + 1}
      aria-colcount={columns.length}
      aria-activedescendant={active.value >= first && active.value < end ? rowId(props.label, active.value) : undefined}
      tabIndex={0}
      onScroll={look}
      onKeyDown={onKey}
    >
      <div class="table-space" style={{ height: `${HEAD_HEIGHT + total * rowHeight}px`, width: `${places.total}px` }}>
        <div class="row row-head" role="row" aria-rowindex={1} style={{ width: `${places.total}px` }}>
          <Cells
            columns={columns}
            places={places}
            shown={shown}
            role="columnheader"
            cell={(column) => <Head column={column} {...(props.onSort ? { onSort: props.onSort } : {})} />}
          />
        </div>
        {drawn}
      </div>
    </div>
  );
}

function rowId(label: string, at: number): string {
  return `${label.replace(/\W+/g, "-")}-row-${at}`;
}

interface CellsProps<Row> {
  readonly columns: readonly TableColumn<Row>[];
  readonly places: ReturnType<typeof placesOf>;
  readonly shown: readonly number[];
  readonly role: "gridcell" | "columnheader";
  readonly cell: (column: TableColumn<Row>) => ComponentChildren;
}

function Cells<Row>({ columns, places, shown, role, cell }: CellsProps<Row>) {
  return (
    <>
      {shown.map((at) => {
        const column = columns[at];
        const left = places.lefts[at];
        if (column === undefined || left === undefined) return null;
        const name = `cell${column.isPinned ? " cell-pinned" : ""}${column.isNumber ? " cell-number" : ""}`;
        const place = column.isPinned ? { left: `${left}px` } : { transform: `translateX(${left}px)` };
        return (
          <div
            key={column.id}
            role={role}
            aria-colindex={at + 1}
            aria-sort={role === "columnheader" ? column.sorted : undefined}
            class={name}
            style={{ ...place, width: `${column.width}px` }}
          >
            {cell(column)}
          </div>
        );
      })}
    </>
  );
}

interface HeadProps<Row> {
  readonly column: TableColumn<Row>;
  readonly onSort?: (column: TableColumn<Row>, event: MouseEvent | KeyboardEvent) => void;
}

function Head<Row>({ column, onSort }: HeadProps<Row>) {
  if (column.head !== undefined) return <>{column.head}</>;
  if (onSort === undefined) return <span>{column.title}</span>;
  const arrow = column.sorted === "ascending" ? "▲" : column.sorted === "descending" ? "▼" : "";
  return (
    <button type="button" class="head" title={`Sort by ${column.title}`} onClick={(event) => onSort(column, event)}>
      <span class="head-title">{column.title}</span>
      <span aria-hidden="true">{arrow}</span>
    </button>
  );
}
