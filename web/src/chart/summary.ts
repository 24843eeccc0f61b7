/** What a chart shows, in words. */
import type { Report } from "../draw/messages.ts";
import { axisName, placeText, valueText } from "./format.ts";
import type { XAxis } from "./view.ts";

function counted(count: number, one: string, many: string): string {
  return `${count.toLocaleString("en-US")} ${count === 1 ? one : many}`;
}

/** How fine the curves are: "exact" or "N points a bucket". */
export function finenessOf(report: Report): string {
  if (report.curves === 0) return "no points here";
  if (report.exact) return "exact";
  return report.largest > 1 ? `up to ${report.largest.toLocaleString("en-US")} points a bucket` : "buckets";
}

/** What the chart cannot draw, or leaves out. `where`: at which edge it is marked. */
export function remarksOf(report: Report): string[] {
  const remarks: string[] = [];
  const curves = (count: number): string => counted(count, "curve", "curves");
  if (report.nan > 0) remarks.push(`NaN in ${curves(report.nan)} (× below)`);
  if (report.infinite > 0) remarks.push(`±∞ in ${curves(report.infinite)} (▴ at the edge)`);
  if (report.notPositive > 0) remarks.push(`values ≤ 0 in ${curves(report.notPositive)} (▮ below)`);
  if (report.beforeAxis > 0) remarks.push(`${curves(report.beforeAxis)} begin at a place ≤ 0, left of the axis`);
  return remarks;
}

/** How many points are outside of the picture, at one edge. Of a bucket one point at least is. */
export function outsideText(count: number, exact: boolean, where: "above" | "below"): string {
  const points = exact ? counted(count, "point", "points") : `≥ ${counted(count, "point", "points")}`;
  return `${points} ${where}`;
}

/** The definition of the smoothed line, for people. */
export function smoothingText(length: number, axis: XAxis): string {
  const text = placeText(length, axis === "time" ? "relative" : axis);
  const name = axis === "step" || axis === "epoch" ? `${text} ${axis}s` : text;
  return `smoothed: exponential average over ${name}, weighted by the axis, not by points; raw curves are pale`;
}

/** The summary that a screen reader reads. */
export function summaryOf(title: string, report: Report | null, axis: XAxis): string {
  if (report === null) return `${title}: loading`;
  if (report.curves === 0) return `${title}: no points in view`;
  const parts = [`${title}: ${counted(report.curves, "curve", "curves")}`];
  parts.push(`${axisName(axis)} from ${placeText(report.x.from, axis)} to ${placeText(report.x.to, axis)}`);
  if (report.values !== null) parts.push(`values from ${valueText(report.values.low)} to ${valueText(report.values.high)}`);
  parts.push(finenessOf(report), ...remarksOf(report));
  if (report.above > 0) parts.push(outsideText(report.above, report.exact, "above"));
  if (report.below > 0) parts.push(outsideText(report.below, report.exact, "below"));
  return parts.join(", ");
}
