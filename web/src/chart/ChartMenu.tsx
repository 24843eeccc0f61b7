import { Menu } from "../ui/Menu.tsx";
import { kindOf } from "./format.ts";
import type { ChartModel } from "./model.ts";
import type { XAxis } from "./view.ts";

interface ChartMenuProps {
  readonly model: ChartModel;
  readonly onFullScreen: () => void;
  readonly onExport: (kind: "png" | "svg") => void;
}

/** Lengths of the exponential average that are offered, in units of the axis. */
function lengths(axis: XAxis): readonly (readonly [number, string])[] {
  if (kindOf(axis) === "number") return [10, 30, 100, 300, 1_000, 3_000, 10_000, 100_000].map((one) => [one, one.toLocaleString("en-US")] as const);
  return [
    [1e6, "1 s"],
    [1e7, "10 s"],
    [6e7, "1 min"],
    [6e8, "10 min"],
    [3.6e9, "1 h"],
    [3.6e10, "10 h"],
  ];
}

/** What a chart can do. */
export function ChartMenu({ model, onFullScreen, onExport }: ChartMenuProps) {
  return (
    <Menu label="⋯" title="Options of the chart" align="end" class="icon quiet">
      {(close) => <Options model={model} close={close} onFullScreen={onFullScreen} onExport={onExport} />}
    </Menu>
  );
}

/** What the menu holds, made when it is opened. */
function Options({ model, close, onFullScreen, onExport }: ChartMenuProps & { readonly close: () => void }) {
  const { view } = model;
  const csv = model.source.csv?.(model.metrics, view.range.value) ?? null;
  const hasSpread = model.levels.base?.series.some((one) => one.group !== null) ?? false;
  const check = (label: string, on: boolean, set: (on: boolean) => void) => (
    <label class="chart-option">
      <input type="checkbox" checked={on} onChange={(event) => set(event.currentTarget.checked)} /> {label}
    </label>
  );
  return (
        <div class="chart-options">
          {check("Logarithmic values", model.yLog.value, (on) => (model.ownLog.value = on))}
          {check("Logarithmic x, in all charts", view.xLog.value, (on) => (view.xLog.value = on))}
          {check("Leave outliers out of the axis", model.outliers.value, (on) => (model.ownOutliers.value = on))}
          <label class="chart-option">
            Smoothing{" "}
            <select
              value={String(view.smoothing.value ?? "")}
              onChange={(event) => (view.smoothing.value = event.currentTarget.value === "" ? null : Number(event.currentTarget.value))}
            >
              <option value="">none</option>
              {lengths(view.xAxis.value).map(([length, name]) => (
                <option key={length} value={String(length)}>
                  {name}
                </option>
              ))}
            </select>
          </label>
          <label class="chart-option">
            Extremes{" "}
            <select value={view.band.value} onChange={(event) => (view.band.value = event.currentTarget.value as typeof view.band.value)}>
              <option value="extremes">pale, with means</option>
              <option value="solid">full</option>
              {hasSpread ? <option value="spread">standard deviation</option> : null}
            </select>
          </label>
          <button type="button" onClick={() => (close(), onFullScreen())}>
            Full screen
          </button>
          <button type="button" onClick={() => (close(), onExport("png"))}>
            Save as PNG
          </button>
          <button type="button" onClick={() => (close(), onExport("svg"))}>
            Save as SVG
          </button>
          {csv !== null ? (
            <a href={csv} download>
              Points as CSV
            </a>
          ) : null}
        </div>
  );
}
