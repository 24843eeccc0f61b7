/** How charts are put under headings. Pure. */

export interface Section {
  /** What the names of its metrics begin with, without the slash; "" for those without one. */
  readonly prefix: string;
  readonly metrics: readonly string[];
}

/** Sections that are folded until somebody opens them: what the machine did is seldom what was trained. */
export const FOLDED: readonly string[] = ["system"];

/**
 * Put metrics into sections by what stands before their first slash: first those without one, then by name.
 *
 * Within a section, numbers in names count as numbers: `layer2` before `layer10`.
 */
export function sectionsOf(metrics: readonly string[]): readonly Section[] {
  const members = new Map<string, string[]>();
  for (const metric of metrics) {
    const slash = metric.indexOf("/");
    const prefix = slash <= 0 ? "" : metric.slice(0, slash);
    const section = members.get(prefix);
    if (section === undefined) members.set(prefix, [metric]);
    else section.push(metric);
  }
  return [...members]
    .map(([prefix, names]) => ({ prefix, metrics: names.sort(ORDER.compare) }))
    .sort((one, other) => place(one) - place(other) || ORDER.compare(one.prefix, other.prefix));
}

const ORDER = new Intl.Collator("en", { numeric: true });

function place(section: Section): number {
  return FOLDED.includes(section.prefix) ? 1 : 0;
}

/** Return the metrics that a search finds: every word of it is in the name, capitals or not. */
export function searched(metrics: readonly string[], search: string): readonly string[] {
  const words = search.toLowerCase().split(/\s+/).filter((word) => word !== "");
  return metrics.filter((metric) => words.every((word) => metric.toLowerCase().includes(word)));
}
