/** Histograms as the client logs them (docs/sdk.md, log_histogram). Pure. */
export interface Histogram {
  readonly counts: readonly number[];
  /** One more than there are counts. */
  readonly edges: readonly number[];
}

/** Read the JSON of a histogram; null: it is none. */
export function histogramOf(text: string): Histogram | null {
  try {
    const given: unknown = JSON.parse(text);
    if (typeof given !== "object" || given === null || !("counts" in given) || !("edges" in given)) return null;
    const { counts, edges } = given;
    if (!isNumbers(counts) || !isNumbers(edges) || counts.length === 0 || edges.length !== counts.length + 1) return null;
    return { counts, edges };
  } catch {
    return null;
  }
}

function isNumbers(value: unknown): value is readonly number[] {
  return Array.isArray(value) && value.length <= 100_000 && value.every((one) => typeof one === "number" && Number.isFinite(one));
}

/** The least and the greatest edge of several; null: there is none. */
export function extentOf(histograms: readonly Histogram[]): readonly [number, number] | null {
  const lows = histograms.map(({ edges }) => edges[0] ?? Number.NaN);
  const highs = histograms.map(({ edges }) => edges.at(-1) ?? Number.NaN);
  const low = lows.reduce((a, b) => Math.min(a, b), Infinity);
  const high = highs.reduce((a, b) => Math.max(a, b), -Infinity);
  if (!Number.isFinite(low) || !Number.isFinite(high)) return null;
  return low < high ? [low, high] : [low - 0.5, low + 0.5];
}

/**
 * Spread a histogram over bins of one width between two values: the share of all that falls into each.
 *
 * A count is spread evenly over its own range, so the shares of all bins make 1 where the range has them all.
 */
export function spread({ counts, edges }: Histogram, [low, high]: readonly [number, number], bins: number): Float64Array {
  const shares = new Float64Array(bins);
  const total = counts.reduce((sum, count) => sum + count, 0);
  if (total === 0) return shares;
  const width = (high - low) / bins;
  counts.forEach((count, at) => {
    if (count === 0) return;
    const [from, to] = [edges[at] ?? 0, edges[at + 1] ?? 0];
    const [first, last] = [place(from, low, width, bins), place(to, low, width, bins)];
    for (let bin = first; bin <= last; bin += 1) {
      const inside = Math.min(to, low + (bin + 1) * width) - Math.max(from, low + bin * width);
      const part = to > from ? Math.max(0, inside) / (to - from) : bin === first ? 1 : 0;
      shares[bin] = (shares[bin] ?? 0) + (count * part) / total;
    }
  });
  return shares;
}

function place(value: number, low: number, width: number, bins: number): number {
  return Math.max(0, Math.min(bins - 1, Math.floor((value - low) / width)));
}

/** Choose at most so many of a list, evenly, the first and the last among them. */
export function evenly<T>(all: readonly T[], most: number): readonly T[] {
  if (all.length <= most) return all;
  const chosen = new Set(Array.from({ length: most }, (_, at) => Math.round((at * (all.length - 1)) / (most - 1))));
  return all.filter((_, at) => chosen.has(at));
}
