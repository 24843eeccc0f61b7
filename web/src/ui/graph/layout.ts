/** Nodes in levels from left to right. Pure. */
export interface GraphNode {
  readonly id: string;
  readonly level: number;
}

export interface GraphEdge {
  readonly from: string;
  readonly to: string;
}

export interface Spot {
  /** From 0 at the left. */
  readonly column: number;
  /** From 0 at the top; halves where a level is shorter than others. */
  readonly row: number;
}

export interface Layout {
  readonly spots: ReadonlyMap<string, Spot>;
  readonly columns: number;
  readonly rows: number;
}

/** How often levels are put in the order of their neighbours; more changes little. */
const PASSES = 6;

/** Place nodes so that those that belong together stand near each other. */
export function layoutOf(nodes: readonly GraphNode[], edges: readonly GraphEdge[]): Layout {
  const levels = [...new Set(nodes.map(({ level }) => level))].sort((a, b) => a - b);
  const columns = levels.map((level) => nodes.filter((node) => node.level === level).map(({ id }) => id));
  const neighbours = new Map<string, string[]>(nodes.map(({ id }) => [id, []]));
  for (const { from, to } of edges) {
    if (!neighbours.has(from) || !neighbours.has(to)) continue;
    neighbours.get(from)?.push(to);
    neighbours.get(to)?.push(from);
  }
  const places = new Map<string, number>();
  const rows = Math.max(0, ...columns.map((ids) => ids.length));
  const put = (ids: readonly string[]) => ids.forEach((id, at) => places.set(id, at + (rows - ids.length) / 2));
  columns.forEach(put);
  for (let pass = 0; pass < PASSES; pass += 1) {
    for (const ids of pass % 2 === 0 ? columns : [...columns].reverse()) {
      const wanted = new Map(ids.map((id) => [id, middle(neighbours.get(id) ?? [], places) ?? places.get(id) ?? 0]));
      ids.sort((a, b) => (wanted.get(a) ?? 0) - (wanted.get(b) ?? 0));
      put(ids);
    }
  }
  const spots = new Map(columns.flatMap((ids, column) => ids.map((id) => [id, { column, row: places.get(id) ?? 0 }] as const)));
  return { spots, columns: columns.length, rows };
}

function middle(ids: readonly string[], places: ReadonlyMap<string, number>): number | null {
  if (ids.length === 0) return null;
  return ids.reduce((sum, id) => sum + (places.get(id) ?? 0), 0) / ids.length;
}
