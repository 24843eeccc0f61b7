import { useComputed, useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";

import type { Logged, Run } from "../data/types.ts";
import { textOfCount, textOfValue } from "../data/values.ts";
import { seriesKey } from "../draw/series.ts";
import type { Param } from "../state/address.ts";
import { colourOf } from "../state/colours.ts";
import { useServices } from "../state/services.ts";
import { CurveChart } from "./CurveChart.tsx";
import type { ServerSource } from "./serverSource.ts";
import type { ChartView, LineStyle } from "./view.ts";

interface MetricChartProps {
  readonly metric: string;
  readonly source: ServerSource;
  /** Those that are drawn: the first ones lie above the others. The same list as long as they are the same. */
  readonly runs: readonly Run[];
  readonly view: ChartView;
  /** Runs whose curves are not drawn. */
  readonly hidden?: Param<readonly string[]>;
}

/** One metric of some runs, or of their groups. */
export function MetricChart({ metric, source, runs, view, hidden }: MetricChartProps) {
  const { theme, engine } = useServices();
  const shown = useSignal({ runs, source });
  useEffect(() => {
    shown.value = { runs, source };
  }, [runs, source]);
  const lines = useComputed((): ReadonlyMap<string, LineStyle> => {
    const dark = theme.shade.value === "dark";
    const now = shown.value;
    if (now.source.isGrouped) {
      return new Map(
        now.source.groups.value
          .filter((one) => one.metric === metric)
          .map((one, order) => {
            const colour = colourOf(JSON.stringify(one.group), dark);
            return [one.key, { colour, name: groupName(one.group, one.size), dash: 0, hidden: false, order }];
          }),
      );
    }
    const isHidden = new Set(hidden?.value);
    return new Map(
      now.runs.map((run, at) => [
        seriesKey(run.run, metric),
        { colour: colourOf(run.run, dark), name: run.name, dash: 0, hidden: isHidden.has(run.run), order: -at },
      ]),
    );
  });
  return <CurveChart engine={engine()} title={metric} metrics={[metric]} source={source} lines={lines} view={view} />;
}

/** The values that the runs of a group have in common, and how many runs it has. */
function groupName(group: Readonly<Record<string, unknown>> | null, size: number): string {
  const values = Object.entries(group ?? {}).map(([field, value]) => `${field} = ${value === null ? "none" : textOfValue(value as Logged)}`);
  return `${values.join(", ")} (${textOfCount(size)} ${size === 1 ? "run" : "runs"})`;
}
