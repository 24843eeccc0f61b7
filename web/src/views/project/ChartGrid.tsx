import type { VNode } from "preact";

import { ChartSections } from "../../chart/ChartSections.tsx";
import { FOLDED, searched } from "../../state/sections.ts";
import { Notice } from "../../ui/Notice.tsx";
import type { ProjectState } from "./state.ts";

interface ChartGridProps {
  readonly state: ProjectState;
  readonly metrics: readonly string[];
  readonly chart: (metric: string) => VNode;
}

/** A chart for each metric, in sections that can be folded. */
export function ChartGrid({ state, metrics, chart }: ChartGridProps) {
  const found = searched(metrics, state.search.value);
  if (metrics.length === 0) return <Notice kind="quiet">These runs have no metrics yet.</Notice>;
  if (found.length === 0) return <Notice kind="warn">No metric has “{state.search.value}” in its name.</Notice>;
  return (
    <ChartSections
      metrics={found}
      folded={state.folded}
      isOpenAtFirst={(prefix) => !FOLDED.includes(prefix)}
      areAllOpen={state.search.value.trim() !== ""}
      chart={chart}
    />
  );
}
