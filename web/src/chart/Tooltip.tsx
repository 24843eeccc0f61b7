import { useLayoutEffect, useRef } from "preact/hooks";

import { exactText, placeText, timeText, valueText } from "./format.ts";
import type { Pointer } from "./gestures.ts";
import type { ChartModel } from "./model.ts";
import type { Reading, Readings } from "./readings.ts";
import type { LineStyle } from "./view.ts";

/** Between the cursor and the tooltip, in pixels. */
const APART = 12;

interface TooltipProps {
  readonly model: ChartModel;
  readonly readings: Readings;
  /** In pixels of the plot. */
  readonly at: Pointer;
  readonly gutter: number;
}

/** The logged points nearest to the cursor. It never shows a value that nobody logged. */
export function Tooltip({ model, readings, at, gutter }: TooltipProps) {
  const axis = model.view.xAxis.value;
  const styles = model.lines.value;
  const box = useRef<HTMLDivElement>(null);
  const { width } = model.size.value;
  useLayoutEffect(() => {
    if (box.current === null) return;
    const room = gutter + width;
    const behind = gutter + at.x + APART;
    const wide = box.current.offsetWidth;
    // Beside the cursor where there is room, over it where there is none, but never outside of the chart.
    const left = behind + wide <= room ? behind : Math.max(0, gutter + at.x - APART - wide);
    box.current.style.left = `${left}px`;
  });
  const place = placeText(roundTo(model.across.value.inverse(at.x), axis), axis);
  const nearest = readings.rows.find((row) => row.key === readings.nearest);
  const when = nearest?.point?.at ?? null;
  return (
    <>
      <div class="chart-tooltip" ref={box} aria-hidden="true">
        <div class="chart-tooltip-head">
          {place}
          {when !== null && axis !== "time" ? ` · ${timeText(when)}` : ""}
        </div>
        <table>
          <tbody>
            {readings.rows.map((row) => (
              <Line key={row.key} row={row} style={styles.get(row.key)} isNearest={row === nearest} axis={axis} place={place} />
            ))}
          </tbody>
        </table>
        {readings.more > 0 ? <div class="chart-tooltip-more">and {readings.more.toLocaleString("en-US")} more curves</div> : null}
      </div>
      <p class="chart-summary" aria-live="polite">
        {nearest === undefined ? "" : `${place}: ${styles.get(nearest.key)?.name.slice(0, 80) ?? ""} ${readingText(nearest)}`}
      </p>
    </>
  );
}

function roundTo(place: number, axis: string): number {
  return axis.startsWith("metric:") ? place : Math.round(place);
}

interface LineProps {
  readonly row: Reading;
  readonly style: LineStyle | undefined;
  readonly isNearest: boolean;
  readonly axis: ChartModel["view"]["xAxis"]["value"];
  /** Of the cursor: a point that is there needs no place of its own. */
  readonly place: string;
}

function Line({ row, style, isNearest, axis, place }: LineProps) {
  const here = placeText(row.point?.x ?? row.near.place, axis);
  return (
    <tr class={isNearest ? "chart-nearest" : undefined}>
      <td>
        <span class="chart-swatch" style={{ background: style?.colour ?? "currentColor" }} />
      </td>
      <td class="chart-tooltip-name" dir="auto">
        {style?.name ?? ""}
      </td>
      <td class="chart-tooltip-value">{readingText(row)}</td>
      <td class="chart-tooltip-place">{here === place ? "" : here}</td>
    </tr>
  );
}

/** The logged value; until it is there what the picture knows: a point's in single precision, or between which values a bucket's are. */
function readingText({ point, near }: Reading): string {
  if (point !== null) return exactText(point.value);
  return near.exact ? valueText(near.mean) : `${valueText(near.min, 4)} … ${valueText(near.max, 4)}`;
}
