import type { ChartsState } from "./chartsState.ts";
import { axisName } from "./format.ts";
import type { ChartView, XAxis } from "./view.ts";

interface AxisSelectProps {
  readonly state: ChartsState;
  readonly view: ChartView;
  /** Metrics that may be the axis. */
  readonly metrics: readonly string[];
}

const AXES: readonly XAxis[] = ["step", "relative", "active", "time", "epoch"];

/** Chooses the x axis of all charts of a view. */
export function AxisSelect({ state, view, metrics }: AxisSelectProps) {
  return (
    <label>
      X{" "}
      <select aria-label="The x axis" value={state.x.value} onChange={(event) => state.changeAxis(event.currentTarget.value, view)}>
        {AXES.map((axis) => (
          <option key={axis} value={axis}>
            {axisName(axis)}
          </option>
        ))}
        {metrics.length === 0 ? null : (
          <optgroup label="another metric">
            {metrics.map((name) => (
              <option key={name} value={`metric:${name}`}>
                {name}
              </option>
            ))}
          </optgroup>
        )}
      </select>
    </label>
  );
}
