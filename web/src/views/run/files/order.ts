import type { Asset } from "../../../data/assets.ts";

export type FileColumn = "name" | "step" | "size_bytes" | "kind" | "content_type" | "at" | "context";

/** Sort by a column, "-" before it for the other way round; without one by name, then by step. */
export function sorted(assets: readonly Asset[], sort: string): readonly Asset[] {
  const column = (sort.replace(/^-/, "") || "name") as FileColumn;
  const way = sort.startsWith("-") ? -1 : 1;
  return [...assets].sort((a, b) => way * compared(a, b, column) || byName(a, b));
}

function compared(a: Asset, b: Asset, column: FileColumn): number {
  if (column === "size_bytes") return a.size_bytes - b.size_bytes;
  if (column === "step") return (a.step ?? -Infinity) === (b.step ?? -Infinity) ? 0 : (a.step ?? -Infinity) - (b.step ?? -Infinity);
  return NAMES.compare(a[column] ?? "", b[column] ?? "");
}

function byName(a: Asset, b: Asset): number {
  return NAMES.compare(a.name, b.name) || (a.step ?? 0) - (b.step ?? 0) || (a.at < b.at ? -1 : 1);
}

const NAMES = new Intl.Collator("en", { numeric: true });

/** The next way to sort by a column: the largest or newest first where that is what people look for. */
export function nextSort(sort: string, column: FileColumn): string {
  const first = column === "size_bytes" || column === "at" || column === "step" ? `-${column}` : column;
  const second = first === column ? `-${column}` : column;
  return sort === first ? second : sort === second ? "" : first;
}
