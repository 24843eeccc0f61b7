import { effect } from "@preact/signals";
import { useEffect, useMemo } from "preact/hooks";

import { type ChartView, newView, type Range, type XAxis } from "../../chart/view.ts";
import { bind } from "../../state/bind.ts";
import type { ProjectState } from "./state.ts";

/** Return what all charts of the view have in common, kept the same as the address. */
export function useChartView(state: ProjectState): ChartView {
  const view = useMemo(newView, []);
  useEffect(() => {
    const ends = [
      bind(
        view.xAxis,
        state.x,
        (text) => text as XAxis,
        (axis) => axis,
      ),
      bind(
        view.range,
        state.zoom,
        (range) => (range === null ? null : { from: range[0], to: range[1] }),
        (range) => (range === null ? null : ([range.from, range.to] as const)),
        isAbout,
      ),
      bind(view.xLog, state.xLog, same, same),
      bind(view.yLog, state.yLog, same, same),
      bind(view.outliers, state.outliers, same, same),
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

/** Whether two ranges are the same but for the rounding of the address. */
function isAbout(one: Range | null, other: Range | null): boolean {
  if (one === null || other === null) return one === other;
  const grain = (one.to - one.from) / 5000;
  return Math.abs(one.from - other.from) <= grain && Math.abs(one.to - other.to) <= grain;
}

function same(value: boolean): boolean {
  return value;
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
