import type { Logged, LoggedValue } from "./types.ts";
import { textOfValue } from "./values.ts";

/** Logged values as a tree: names are paths with dots between. Pure. */
export interface TreeNode {
  /** The last part of the name. */
  readonly part: string;
  /** The whole name up to here. */
  readonly path: string;
  readonly depth: number;
  /** Undefined: nothing was logged under this name itself. */
  readonly value: Logged | undefined;
  readonly children: readonly TreeNode[];
  /** How many values are in it and below it. */
  readonly size: number;
}

interface Growing {
  readonly part: string;
  readonly path: string;
  readonly depth: number;
  value: Logged | undefined;
  readonly children: Map<string, Growing>;
}

/** Levels of a tree; what is below stays one name with dots. */
const MOST_LEVELS = 30;

/** Make a tree of values by their names; parts in the order of their names, numbers in it by size. */
export function treeOf(values: readonly LoggedValue[]): readonly TreeNode[] {
  const root: Growing = { part: "", path: "", depth: -1, value: undefined, children: new Map() };
  for (const { name, value } of values) {
    let at = root;
    for (const part of partsOf(name)) {
      const path = at === root ? part : `${at.path}.${part}`;
      let next = at.children.get(part);
      if (next === undefined) {
        next = { part, path, depth: at.depth + 1, value: undefined, children: new Map() };
        at.children.set(part, next);
      }
      at = next;
    }
    at.value = value;
  }
  return grown(root).children;
}

/** The parts of a name. Empty ones ("a..b", ".a") would be rows without a text, so such a name is one part. */
function partsOf(name: string): readonly string[] {
  const parts = name.split(".");
  if (parts.some((part) => part === "")) return [name];
  if (parts.length <= MOST_LEVELS) return parts;
  return [...parts.slice(0, MOST_LEVELS - 1), parts.slice(MOST_LEVELS - 1).join(".")];
}

function grown({ part, path, depth, value, children }: Growing): TreeNode {
  const below = [...children.values()].sort((a, b) => ORDER.compare(a.part, b.part)).map(grown);
  const size = below.reduce((sum, child) => sum + child.size, value === undefined ? 0 : 1);
  return { part, path, depth, value, children: below, size };
}

const ORDER = new Intl.Collator("en", { numeric: true });

/** Return the rows of a tree from above to below, without what is in folded nodes. */
export function rowsOf(nodes: readonly TreeNode[], isFolded: (path: string) => boolean): readonly TreeNode[] {
  const rows: TreeNode[] = [];
  const add = (node: TreeNode) => {
    rows.push(node);
    if (!isFolded(node.path)) node.children.forEach(add);
  };
  nodes.forEach(add);
  return rows;
}

/** Return the values whose name or text has the text in it, whatever the case. */
export function matching(values: readonly LoggedValue[], text: string): readonly LoggedValue[] {
  const wanted = text.trim().toLowerCase();
  if (wanted === "") return values;
  return values.filter(
    ({ name, value }) => name.toLowerCase().includes(wanted) || textOfValue(value).toLowerCase().includes(wanted),
  );
}

/** Write values as the JSON of one object by name, for the clipboard. */
export function jsonOf(values: readonly LoggedValue[]): string {
  return JSON.stringify(Object.fromEntries(values.map(({ name, value }) => [name, value])), null, 2);
}
