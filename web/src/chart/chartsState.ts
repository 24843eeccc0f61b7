import { effect } from "@preact/signals";
import { useEffect, useMemo } from "preact/hooks";

import { type Address, flag, list, Param, range, text } from "../state/address.ts";
import { bind } from "../state/bind.ts";
import { type ChartView, newView, type Range, type XAxis } from "./view.ts";

/** What the charts of a view show, in the address: for views in which charts are one part of several. */
export class ChartsState {
  readonly x: Param<string>;
  readonly zoom: Param<readonly [number, number] | null>;
  readonly yLog: Param<boolean>;
  readonly xLog: Param<boolean>;
  /** Sections that are not as they are at first. */
  readonly folded: Param<readonly string[]>;

  constructor(readonly address: Address) {
    this.x = new Param(address, "x", text("step"));
    this.zoom = new Param(address, "zoom", range);
    this.yLog = new Param(address, "ylog", flag);
    this.xLog = new Param(address, "xlog", flag);
    this.folded = new Param(address, "folded", list());
  }

  /** Change the axis: places and lengths of another axis mean nothing on it. */
  changeAxis(axis: string, view: ChartView): void {
    view.extent.value = null;
    this.address.change({ ...this.x.with(axis), ...this.withoutPlaces() });
  }

  /** What has to change in the query string so that nothing is left that is on the axis. */
  protected withoutPlaces(): Record<string, string | null> {
    return this.zoom.with(null);
  }
}

/** Return what all charts have in common, kept the same as the address. */
export function useCharts(state: ChartsState): ChartView {
  const view = useMemo(newView, []);
  useEffect(() => {
    const ends = [
      bind(
        view.xAxis,
        state.x,
        (axis) => axis as XAxis,
        (axis) => axis,
      ),
      bind(
        view.range,
        state.zoom,
        (zoom) => (zoom === null ? null : { from: zoom[0], to: zoom[1] }),
        (zoom) => (zoom === null ? null : ([zoom.from, zoom.to] as const)),
        isAbout,
      ),
      bind(view.xLog, state.xLog, Boolean, Boolean),
      bind(view.yLog, state.yLog, Boolean, Boolean),
      effect(() => {
        view.band.value = "extremes";
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
