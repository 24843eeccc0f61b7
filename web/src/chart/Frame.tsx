import type { ReadonlySignal } from "@preact/signals";

import { BOTTOM, CHARACTER, LINE, TOP, ticksAcross, ticksUp } from "./layout.ts";
import type { ChartModel } from "./model.ts";

/** Lines and labels of both axes, below the curves. */
export function Frame({ model, gutter }: { readonly model: ChartModel; readonly gutter: ReadonlySignal<number> }) {
  const { width, height } = model.size.value;
  if (width < 1 || height < 1) return null;
  const across = model.across.value;
  const up = model.up.value;
  const left = gutter.value;
  const axis = model.view.xAxis.value;
  return (
    <svg class="chart-frame" width={left + width} height={TOP + height + BOTTOM} aria-hidden="true">
      {ticksUp(up).map(({ at, label }) => {
        const y = TOP + Math.round(up.at(at)) + 0.5;
        return (
          <g key={`y${label}`}>
            <line class="chart-grid" x1={left} x2={left + width} y1={y} y2={y} />
            <text class="chart-label" x={left - 6} y={y} dy="0.32em" text-anchor="end">
              {label}
            </text>
          </g>
        );
      })}
      {ticksAcross(across, axis).map(({ at, label }) => {
        const x = across.at(at);
        const half = (label.length * CHARACTER) / 2;
        return (
          <g key={`x${at}`}>
            <line class="chart-grid" x1={left + Math.round(x) + 0.5} x2={left + Math.round(x) + 0.5} y1={TOP} y2={TOP + height} />
            <text class="chart-label" x={left + Math.min(Math.max(x, half), width - half)} y={TOP + height + LINE - 4} text-anchor="middle">
              {label}
            </text>
          </g>
        );
      })}
      <line class="chart-axis" x1={left} x2={left + width} y1={TOP + height + 0.5} y2={TOP + height + 0.5} />
    </svg>
  );
}

