import { useSignal } from "@preact/signals";

import { matching, rowsOf, treeOf, type TreeNode } from "../../data/tree.ts";
import type { LoggedValue } from "../../data/types.ts";
import { textOfCount, textOfValue } from "../../data/values.ts";
import { Copy } from "../../ui/Copy.tsx";
import { Table, type TableColumn } from "../../ui/Table.tsx";
import { firstWidth } from "../../ui/windows.ts";

interface ValueTreeProps {
  readonly label: string;
  readonly values: readonly LoggedValue[];
  readonly find: string;
  /** Nodes that are closed until somebody opens them. */
  readonly closed?: readonly string[];
}

const INDENT = 16;

/** Logged values as a tree of their names. Enter and Space open and close a branch. */
export function ValueTree({ label, values, find, closed = [] }: ValueTreeProps) {
  const toggled = useSignal<ReadonlySet<string>>(new Set(closed));
  const found = matching(values, find);
  // Whoever looks for something wants to see it, whatever is closed.
  const isFolded = (path: string) => find.trim() === "" && toggled.value.has(path);
  const rows = rowsOf(treeOf(found), isFolded);
  const toggle = ({ path, children }: TreeNode) => {
    if (children.length === 0) return;
    const next = new Set(toggled.value);
    if (!next.delete(path)) next.add(path);
    toggled.value = next;
  };
  return (
    <Table<TreeNode>
      label={label}
      columns={columnsOf(isFolded, toggle)}
      rows={rows}
      total={rows.length}
      keyOf={(row) => row.path}
      onOpen={toggle}
      onToggle={toggle}
    />
  );
}

function columnsOf(isFolded: (path: string) => boolean, toggle: (row: TreeNode) => void): readonly TableColumn<TreeNode>[] {
  return [
    {
      id: "name",
      title: "Name",
      width: firstWidth(280),
      isPinned: true,
      isNumber: false,
      cell: (row) => (
        <span class="tree-name" ref={(element) => element?.style.setProperty("--indent", `${row.depth * INDENT}px`)}>
          {row.children.length === 0 ? (
            <span class="tree-leaf" />
          ) : (
            <button
              type="button"
              tabIndex={-1}
              class="icon tree-fold"
              aria-expanded={!isFolded(row.path)}
              aria-label={`${isFolded(row.path) ? "Open" : "Close"} ${row.path}`}
              onClick={() => toggle(row)}
            >
              {isFolded(row.path) ? "▸" : "▾"}
            </button>
          )}
          <span class="ellipsis" title={row.path}>
            {row.part}
          </span>
        </span>
      ),
    },
    {
      id: "value",
      title: "Value",
      width: 520,
      isPinned: false,
      isNumber: false,
      cell: (row) =>
        row.value === undefined ? (
          <span class="soft">{row.size === 1 ? "1 value" : `${textOfCount(row.size)} values`}</span>
        ) : (
          <span class="ellipsis" title={fullText(row)}>
            {row.value === null ? <span class="soft">null</span> : row.value === "" ? <span class="soft">empty text</span> : fullText(row)}
          </span>
        ),
    },
    {
      id: "copy",
      title: "",
      width: 90,
      isPinned: false,
      isNumber: false,
      cell: (row) => (row.value === undefined ? null : <Copy title={row.path} text={() => fullText(row)} />),
    },
  ];
}

/** The value with all of its digits: a parameter that is rounded is another one. */
function fullText({ value }: TreeNode): string {
  return typeof value === "number" ? String(value) : textOfValue(value);
}
