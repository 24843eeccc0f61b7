import type { VNode } from "preact";

import { textOfCount } from "../../data/values.ts";
import { Notice } from "../../ui/Notice.tsx";
import { FOLDED, searched, sectionsOf } from "../../state/sections.ts";
import { type ProjectState, toggled } from "./state.ts";

interface ChartGridProps {
  readonly state: ProjectState;
  readonly metrics: readonly string[];
  readonly chart: (metric: string) => VNode;
}

/** A chart for each metric, in sections that can be folded. */
export function ChartGrid({ state, metrics, chart }: ChartGridProps) {
  const found = searched(metrics, state.search.value);
  const isSearched = state.search.value.trim() !== "";
  if (metrics.length === 0) return <Notice kind="quiet">These runs have no metrics yet.</Notice>;
  if (found.length === 0) return <Notice kind="warn">No metric has “{state.search.value}” in its name.</Notice>;
  return (
    <>
      {sectionsOf(found).map(({ prefix, metrics: members }) => {
        // In the address stand the sections that are not as they are at first.
        const isChanged = state.folded.value.includes(prefix);
        const isOpen = isSearched || FOLDED.includes(prefix) === isChanged;
        return (
          <section key={prefix} class="chart-section">
            <h2>
              <button
                type="button"
                class="quiet"
                aria-expanded={isOpen}
                onClick={() => state.folded.set(toggled(state.folded.value, prefix))}
              >
                <span aria-hidden="true">{isOpen ? "▾" : "▸"}</span> {prefix === "" ? "charts" : prefix}{" "}
                <span class="soft">{textOfCount(members.length)}</span>
              </button>
            </h2>
            {isOpen ? <div class="chart-grid">{members.map(chart)}</div> : null}
          </section>
        );
      })}
    </>
  );
}
