import { useComputed, useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";

import { CurveChart } from "../../chart/CurveChart.tsx";
import type { ServerSource } from "../../chart/serverSource.ts";
import type { ChartView, LineStyle } from "../../chart/view.ts";
import type { Run } from "../../data/types.ts";
import { textOfCount, textOfValue } from "../../data/values.ts";
import type { Logged } from "../../data/types.ts";
import { seriesKey } from "../../draw/series.ts";
import { colourOf } from "../../state/colours.ts";
import { useServices } from "../../state/services.ts";
import type { ProjectState } from "./state.ts";

interface RunsChartProps {
  readonly metric: string;
  readonly source: ServerSource;
  readonly runs: readonly Run[];
  readonly state: ProjectState;
  readonly view: ChartView;
}

/** One metric of the runs that are drawn, or of their groups. */
export function RunsChart({ metric, source, runs, state, view }: RunsChartProps) {
  const { theme, engine } = useServices();
  const shown = useSignal({ runs, source });
  useEffect(() => {
    shown.value = { runs, source };
  }, [runs, source]);
  const lines = useComputed((): ReadonlyMap<string, LineStyle> => {
    const dark = theme.shade.value === "dark";
    const now = shown.value;
    if (state.grouping.value.length > 0) {
      return new Map(
        now.source.groups.value
          .filter((one) => one.metric === metric)
          .map((one, order) => {
            const colour = colourOf(JSON.stringify(one.group), dark);
            return [one.key, { colour, name: groupName(one.group, one.size), dash: 0, hidden: false, order }];
          }),
      );
    }
    const hidden = new Set(state.hidden.value);
    return new Map(
      now.runs.map((run, at) => [
        seriesKey(run.run, metric),
        // The first rows of the table lie above the others.
        { colour: colourOf(run.run, dark), name: run.name, dash: 0, hidden: hidden.has(run.run), order: -at },
      ]),
    );
  });
  return <CurveChart engine={engine()} title={metric} metrics={[metric]} source={source} lines={lines} view={view} />;
}

/** The values that the runs of a group have in common, and how many runs it has. */
export function groupName(group: Readonly<Record<string, unknown>> | null, size: number): string {
  const values = Object.entries(group ?? {}).map(([field, value]) => `${field} = ${value === null ? "none" : textOfValue(value as Logged)}`);
  return `${values.join(", ")} (${textOfCount(size)} ${size === 1 ? "run" : "runs"})`;
}
