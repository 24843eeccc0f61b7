/** What of a table is visible. Pure; everything in CSS pixels. */

/** Return the first visible row and the one behind the last, with some to spare at both ends. */
export function rowsBetween(
  top: number,
  height: number,
  rowHeight: number,
  total: number,
  spare: number,
): readonly [number, number] {
  const first = Math.max(0, Math.floor(top / rowHeight) - spare);
  const end = Math.min(total, Math.ceil((top + height) / rowHeight) + spare);
  return [Math.min(first, end), end];
}

export interface Places {
  /** Where each column begins: of a pinned one in the window, of another in the whole width. */
  readonly lefts: readonly number[];
  readonly pinned: readonly number[];
  readonly free: readonly number[];
  readonly ends: readonly number[];
  readonly pinnedWidth: number;
  readonly total: number;
}

interface Placed {
  readonly width: number;
  readonly isPinned: boolean;
}

/** Place columns side by side, pinned ones first. */
export function placesOf(columns: readonly Placed[]): Places {
  const order = columns.map((_, at) => at);
  const pinned = order.filter((at) => columns[at]?.isPinned === true);
  const free = order.filter((at) => columns[at]?.isPinned !== true);
  const lefts = new Array<number>(columns.length).fill(0);
  const ends = new Array<number>(columns.length).fill(0);
  let left = 0;
  let pinnedWidth = 0;
  for (const at of [...pinned, ...free]) {
    lefts[at] = left;
    left += columns[at]?.width ?? 0;
    ends[at] = left;
    if (columns[at]?.isPinned === true) pinnedWidth = left;
  }
  return { lefts, pinned, free, ends, pinnedWidth, total: left };
}

/** Return the columns that are visible: all pinned ones, and those that the window shows behind them. */
export function columnsBetween(places: Places, left: number, width: number): readonly number[] {
  const low = left + places.pinnedWidth;
  const high = left + width;
  const visible = places.free.filter((at) => (places.ends[at] ?? 0) > low && (places.lefts[at] ?? 0) < high);
  return [...places.pinned, ...visible];
}

/** The width of a first column that stays: what is wanted, but on a phone so little that others are seen beside it. */
export function firstWidth(wanted: number): number {
  return typeof window === "undefined" ? wanted : Math.min(wanted, Math.max(120, Math.round(window.innerWidth * 0.42)));
}
