/** Numbers, durations and times as text. */
import type { XAxis } from "./view.ts";

export type AxisKind = "number" | "duration" | "time";

export function kindOf(axis: XAxis): AxisKind {
  return axis === "time" ? "time" : axis === "relative" || axis === "active" ? "duration" : "number";
}

/** A value with about six digits; NaN and infinities by name. */
export function valueText(value: number, digits = 6): string {
  if (value !== value) return "NaN";
  if (value === Infinity) return "∞";
  if (value === -Infinity) return "−∞";
  if (value === 0) return "0";
  const size = Math.abs(value);
  if (Number.isInteger(value) && size < 1e15) return minus(value.toLocaleString("en-US"));
  if (size >= 1e-4 && size < 1e7) return minus(String(Number(value.toPrecision(digits))));
  return minus(trimmed(value.toExponential(digits - 1)));
}

/** All digits that tell a double from others. */
export function exactText(value: number): string {
  return Number.isFinite(value) ? minus(String(value)) : valueText(value);
}

function trimmed(text: string): string {
  return text.replace(/\.?0+e/, "e").replace("e+", "e");
}

function minus(text: string): string {
  return text.replace(/^-/, "−");
}

/** The text of a tick, with as many digits as tell it from the next, `step` away. */
export function tickText(value: number, step: number, largest: number): string {
  if (value === 0) return "0";
  if (largest < 1e5 && step >= 1e-4) {
    return minus(value.toFixed(Math.min(20, Math.max(0, -Math.floor(Math.log10(step * 1.0000001))))));
  }
  for (const [size, name] of [[1e12, "T"], [1e9, "G"], [1e6, "M"], [1e3, "k"]] as const) {
    if (largest < size || largest >= size * 1e3 || step < size / 1e4) continue;
    return minus(`${(value / size).toFixed(Math.max(0, -Math.floor(Math.log10((step / size) * 1.0000001))))}${name}`);
  }
  if (largest < 1e15 && Number.isInteger(step)) return minus(value.toLocaleString("en-US"));
  const digits = Math.min(16, Math.max(0, Math.floor(Math.log10(Math.abs(value))) - Math.floor(Math.log10(step * 1.0000001))));
  return minus(trimmed(value.toExponential(digits)));
}

/** The text of a place of a logarithmic axis: powers of ten far from 1 as such. */
export function powerText(value: number): string {
  const size = Math.abs(value);
  return size >= 1e-3 && size < 1e4 ? minus(String(Number(value.toPrecision(3)))) : minus(trimmed(value.toExponential(1)));
}

const SECOND = 1e6;

/** A duration in microseconds: the two largest units that it has. */
export function durationText(us: number): string {
  if (us === 0) return "0 s";
  const size = Math.abs(us);
  const sign = us < 0 ? "−" : "";
  if (size < 1e3) return `${sign}${Number(size.toPrecision(3))} µs`;
  if (size < SECOND) return `${sign}${Number((size / 1e3).toPrecision(4))} ms`;
  if (size < 60 * SECOND) return `${sign}${Number((size / SECOND).toFixed(3))} s`;
  const seconds = Math.round(size / SECOND);
  const parts: readonly [number, string][] = [
    [Math.floor(seconds / 86_400), "d"],
    [Math.floor(seconds / 3_600) % 24, "h"],
    [Math.floor(seconds / 60) % 60, "min"],
    [seconds % 60, "s"],
  ];
  const first = parts.findIndex(([count]) => count > 0);
  const shown = parts.slice(first, first + 2).filter(([count]) => count > 0);
  return sign + shown.map(([count, name]) => `${count} ${name}`).join(" ");
}

/** A duration in microseconds at a tick: with all units down to that of the step between ticks. */
export function durationTick(us: number, step: number): string {
  if (us === 0) return "0 s";
  const size = Math.abs(us);
  const sign = us < 0 ? "−" : "";
  const decimals = (unit: number): number => Math.max(0, -Math.floor(Math.log10((step / unit) * 1.0000001)));
  if (size < 1e3) return `${sign}${size.toFixed(decimals(1))} µs`;
  if (size < SECOND) return `${sign}${(size / 1e3).toFixed(decimals(1e3))} ms`;
  const places = decimals(SECOND);
  const seconds = Number((size / SECOND).toFixed(places));
  const parts: readonly [number, string][] = [
    [Math.floor(seconds / 86_400), "d"],
    [Math.floor(seconds / 3_600) % 24, "h"],
    [Math.floor(seconds / 60) % 60, "min"],
  ];
  const shown = parts.filter(([count]) => count > 0).map(([count, name]) => `${count} ${name}`);
  const left = (seconds % 60).toFixed(places);
  if (Number(left) > 0) shown.push(`${left} s`);
  return sign + shown.join(" ");
}

/** A time in microseconds since 1970, in the zone of the machine. */
export function timeText(us: number): string {
  const time = new Date(us / 1e3);
  if (Number.isNaN(time.getTime())) return String(us);
  const two = (value: number): string => String(value).padStart(2, "0");
  const day = `${time.getFullYear()}-${two(time.getMonth() + 1)}-${two(time.getDate())}`;
  return `${day} ${two(time.getHours())}:${two(time.getMinutes())}:${two(time.getSeconds())}`;
}

/** A place of an axis. */
export function placeText(place: number, axis: XAxis): string {
  const kind = kindOf(axis);
  if (kind === "time") return timeText(place);
  return kind === "duration" ? durationText(place) : valueText(place);
}

/** What an axis is called. */
export function axisName(axis: XAxis): string {
  switch (axis) {
    case "step":
      return "step";
    case "time":
      return "time";
    case "relative":
      return "time since the run began";
    case "active":
      return "active time";
    case "epoch":
      return "epoch";
    default:
      return axis.slice("metric:".length);
  }
}
