import { exactText, placeText, timeText, valueText } from "./format.ts";
import type { Pointer } from "./gestures.ts";
import type { ChartModel } from "./model.ts";
import type { Reading, Readings } from "./readings.ts";
import type { LineStyle } from "./view.ts";

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
  const { width } = model.size.value;
  const styles = model.lines.value;
  const onLeft = at.x > width / 2;
  const side = onLeft ? { right: `${width - at.x + 22}px` } : { left: `${gutter + at.x + 12}px` };
  return (
    <div class="chart-tooltip" style={side} aria-hidden="true">
      <div class="chart-tooltip-head">{placeText(roundTo(model.across.value.inverse(at.x), axis), axis)}</div>
      <table>
        <tbody>
          {readings.rows.map((row) => (
            <Line key={row.key} row={row} style={styles.get(row.key)} isNearest={row.key === readings.nearest} axis={axis} />
          ))}
        </tbody>
      </table>
      {readings.more > 0 ? <div class="chart-tooltip-more">and {readings.more.toLocaleString("en-US")} more curves</div> : null}
    </div>
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
}

function Line({ row, style, isNearest, axis }: LineProps) {
  const { point, near } = row;
  const place = placeText(point?.x ?? near.place, axis);
  return (
    <tr class={isNearest ? "chart-nearest" : undefined}>
      <td>
        <span class="chart-swatch" style={{ background: style?.colour ?? "currentColor" }} />
      </td>
      <td class="chart-tooltip-name" dir="auto">
        {style?.name ?? ""}
      </td>
      <td class="chart-tooltip-value">{point !== null ? exactText(point.value) : bucketText(row)}</td>
      <td class="chart-tooltip-place">{point?.at != null && axis !== "time" ? `${place} · ${timeText(point.at)}` : place}</td>
    </tr>
  );
}

/** What the picture knows: a point's value in single precision, or between which values those of a bucket are. */
function bucketText({ near }: Reading): string {
  if (near.exact) return valueText(near.mean);
  return `${valueText(near.min, 4)} … ${valueText(near.max, 4)}`;
}
