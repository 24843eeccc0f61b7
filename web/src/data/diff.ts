/** Differences of two texts by line (Myers). Pure. */
export interface DiffLine {
  readonly kind: "same" | "added" | "removed";
  readonly text: string;
}

/** Changes that are looked for at most; of texts that differ more all lines count as replaced. */
const MOST_CHANGES = 1000;

/** Return the lines of both texts in one order, those that only one of them has told apart. */
export function diffOf(before: string, after: string): readonly DiffLine[] {
  const [a, b] = [linesOf(before), linesOf(after)];
  let start = 0;
  while (start < a.length && start < b.length && a[start] === b[start]) start += 1;
  let end = 0;
  while (end < a.length - start && end < b.length - start && a[a.length - 1 - end] === b[b.length - 1 - end]) end += 1;
  const same = (lines: readonly string[]): DiffLine[] => lines.map((text) => ({ kind: "same", text }));
  const middle = between(a.slice(start, a.length - end), b.slice(start, b.length - end));
  return [...same(a.slice(0, start)), ...middle, ...same(a.slice(a.length - end))];
}

function linesOf(text: string): readonly string[] {
  return text === "" ? [] : text.replace(/\n$/, "").split("\n");
}

function between(a: readonly string[], b: readonly string[]): readonly DiffLine[] {
  const trace = traceOf(a, b);
  if (trace === null) return [...a.map((text): DiffLine => ({ kind: "removed", text })), ...b.map((text): DiffLine => ({ kind: "added", text }))];
  const lines: DiffLine[] = [];
  let [x, y] = [a.length, b.length];
  for (let changes = trace.length - 1; changes >= 0; changes -= 1) {
    const reached = trace[changes] ?? new Map<number, number>();
    const diagonal = x - y;
    const isDown = diagonal === -changes || (diagonal !== changes && (reached.get(diagonal - 1) ?? -1) < (reached.get(diagonal + 1) ?? -1));
    const from = isDown ? diagonal + 1 : diagonal - 1;
    const fromX = changes === 0 ? 0 : (reached.get(from) ?? 0);
    const fromY = changes === 0 ? 0 : fromX - from;
    while (x > fromX && y > fromY) {
      x -= 1;
      y -= 1;
      lines.push({ kind: "same", text: a[x] ?? "" });
    }
    if (changes === 0) break;
    if (isDown) lines.push({ kind: "added", text: b[fromY] ?? "" });
    else lines.push({ kind: "removed", text: a[fromX] ?? "" });
    [x, y] = [fromX, fromY];
  }
  return lines.reverse();
}

/** For each number of changes how far each diagonal reached before it; null: there are too many changes. */
function traceOf(a: readonly string[], b: readonly string[]): readonly ReadonlyMap<number, number>[] | null {
  const most = Math.min(a.length + b.length, MOST_CHANGES);
  const trace: ReadonlyMap<number, number>[] = [];
  const reached = new Map<number, number>([[1, 0]]);
  for (let changes = 0; changes <= most; changes += 1) {
    trace.push(new Map(reached));
    for (let diagonal = -changes; diagonal <= changes; diagonal += 2) {
      const isDown = diagonal === -changes || (diagonal !== changes && (reached.get(diagonal - 1) ?? -1) < (reached.get(diagonal + 1) ?? -1));
      let x = isDown ? (reached.get(diagonal + 1) ?? 0) : (reached.get(diagonal - 1) ?? 0) + 1;
      while (x < a.length && x - diagonal < b.length && a[x] === b[x - diagonal]) x += 1;
      reached.set(diagonal, x);
      if (x >= a.length && x - diagonal >= b.length) return trace;
    }
  }
  return null;
}
