import type { Lineage, LineageStart } from "../../data/artifacts.ts";
import { graphOf } from "../../state/lineage.ts";
import { Notice } from "../Notice.tsx";
import { Graph } from "./Graph.tsx";

interface LineageGraphProps {
  readonly label: string;
  readonly lineage: Lineage;
  readonly start: LineageStart;
}

/** What a run or a version came from, and what came of it. */
export function LineageGraph({ label, lineage, start }: LineageGraphProps) {
  return (
    <>
      <Graph label={label} {...graphOf(lineage, start)} />
      {lineage.cut.length === 0 ? null : (
        <Notice kind="quiet">The graph goes on: only the nearest runs and versions are drawn ({lineage.cut.join(", ")}).</Notice>
      )}
    </>
  );
}
