/**
 * Positions of the log, as far as the page needs them: `next:0:42,3:8` says by partition which record comes next; a partition
 * that is not named is at its beginning (docs/api.md).
 */

/** Return what both positions cover: for each partition the earlier offset. Null covers everything that the other does. */
export function earlier(first: string | null, second: string | null): string | null {
  if (first === null || second === null) return first ?? second;
  const other = offsetsOf(second);
  const parts: string[] = [];
  for (const [partition, offset] of offsetsOf(first)) {
    const least = Math.min(offset, other.get(partition) ?? 0);
    if (least > 0) parts.push(`${partition}:${least}`);
  }
  return `next:${parts.join(",")}`;
}

function offsetsOf(position: string): ReadonlyMap<number, number> {
  const offsets = new Map<number, number>();
  for (const part of position.replace(/^next:/, "").split(",")) {
    const [partition = "", offset = ""] = part.split(":");
    if (/^\d+$/.test(partition) && /^\d+$/.test(offset)) offsets.set(Number(partition), Number(offset));
  }
  return offsets;
}
