import { effect } from "@preact/signals";
import { useEffect } from "preact/hooks";

import { useCharts } from "../../chart/chartsState.ts";
import type { ChartView } from "../../chart/view.ts";
import { bind } from "../../state/bind.ts";
import type { ProjectState } from "./state.ts";

/** Return what all charts of the view have in common, kept the same as the address. */
export function useChartView(state: ProjectState): ChartView {
  const view = useCharts(state);
  useEffect(() => {
    const ends = [
      bind(view.outliers, state.outliers, Boolean, Boolean),
      bind(
        view.smoothing,
        state.smoothing,
        (length) => (length > 0 ? length : null),
        (length) => length ?? 0,
      ),
      effect(() => {
        view.band.value = state.grouping.value.length > 0 ? "spread" : "extremes";
      }),
      effect(() => {
        const run = state.highlighted.value;
        view.highlighted.value = run === null ? null : `${run}\n`;
      }),
      effect(() => {
        const key = view.highlighted.value;
        state.highlighted.value = key === null ? null : (key.split("\n")[0] ?? null);
      }),
    ];
    return () => {
      for (const end of ends) end();
    };
  }, []);
  return view;
}

/** The least and the most that is smoothed over, as parts of the whole axis. */
const LEAST = 1 / 2000;
const MOST = 1 / 2;
/** Places of the slider; 0 smooths nothing. */
export const SMOOTH_STEPS = 100;

/** Return the length to smooth over for a place of the slider, in units of the axis. Pure. */
export function lengthAt(place: number, axisLength: number): number {
  if (place <= 0 || !(axisLength > 0)) return 0;
  const length = axisLength * LEAST * (MOST / LEAST) ** (place / SMOOTH_STEPS);
  return Number(length.toPrecision(3));
}

/** The other way round. Pure. */
export function placeOfLength(length: number, axisLength: number): number {
  if (length <= 0 || !(axisLength > 0)) return 0;
  const place = (Math.log(length / axisLength / LEAST) / Math.log(MOST / LEAST)) * SMOOTH_STEPS;
  return Math.min(SMOOTH_STEPS, Math.max(1, Math.round(place)));
}
