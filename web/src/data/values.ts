import type { Logged } from "./types.ts";

/** Return the number that a logged value is; null if it is none. */
export function numberOf(value: Logged | undefined): number | null {
  if (typeof value === "number") return value;
  if (value === "NaN") return Number.NaN;
  if (value === "Infinity") return Number.POSITIVE_INFINITY;
  if (value === "-Infinity") return Number.NEGATIVE_INFINITY;
  return null;
}

/**
 * Write a number for a table: so many significant digits, and no more characters than a column has.
 *
 * Whole numbers below 10^15 stand as they are, because a step or a count that is rounded is wrong.
 */
export function textOfNumber(value: number, digits = 5): string {
  if (Number.isNaN(value)) return "NaN";
  if (value === Number.POSITIVE_INFINITY) return "∞";
  if (value === Number.NEGATIVE_INFINITY) return "−∞";
  if (Number.isInteger(value) && Math.abs(value) < 1e15) return minus(String(value));
  const size = Math.abs(value);
  if (size < 1e-4 || size >= 1e7) {
    const [mantissa = "", exponent = "0"] = value.toExponential(digits - 1).split("e");
    return minus(`${trimmed(mantissa)}e${Number(exponent)}`);
  }
  return minus(trimmed(value.toPrecision(digits)));
}

function trimmed(text: string): string {
  return text.includes(".") ? text.replace(/\.?0+$/, "") : text;
}

function minus(text: string): string {
  return text.replace(/-/g, "−");
}

/** Write a logged value for a table: numbers shortly, texts as they are, all else as JSON. */
export function textOfValue(value: Logged | undefined): string {
  if (value === undefined || value === null) return "";
  const number = numberOf(value);
  if (number !== null) return textOfNumber(number);
  if (typeof value === "string") return value;
  return JSON.stringify(value);
}

const UNITS: readonly (readonly [number, string])[] = [
  [86_400, "d"],
  [3600, "h"],
  [60, "m"],
];

/** Write a duration in its two largest units: "2d 4h", "3m 12s", "0.4s". */
export function textOfDuration(seconds: number): string {
  if (!Number.isFinite(seconds)) return "";
  if (seconds < 10) return `${trimmed(seconds.toFixed(1))}s`;
  let left = Math.round(seconds);
  const parts: string[] = [];
  for (const [size, unit] of UNITS) {
    const count = Math.floor(left / size);
    if (count > 0 || parts.length > 0) parts.push(`${count}${unit}`);
    left -= count * size;
  }
  parts.push(`${left}s`);
  return parts.slice(0, 2).join(" ");
}

/** Write how long ago a moment was: "12s ago". */
export function textOfAge(at: string, nowMs: number): string {
  const seconds = (nowMs - Date.parse(at)) / 1000;
  if (!Number.isFinite(seconds)) return "";
  if (seconds < 1) return "now";
  const [first = ""] = textOfDuration(Math.round(seconds)).split(" ");
  return `${first} ago`;
}

const MOMENT = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });

/** Write a moment in the person's own zone. */
export function textOfMoment(at: string): string {
  const ms = Date.parse(at);
  return Number.isFinite(ms) ? MOMENT.format(ms) : "";
}

const COUNT = new Intl.NumberFormat("en");

/** Write a count with groups of three: "12,345". */
export function textOfCount(count: number): string {
  return COUNT.format(count);
}

/** Write a size in bytes: "1.5 GB". */
export function textOfBytes(bytes: number): string {
  const units = ["B", "kB", "MB", "GB", "TB", "PB"];
  let size = bytes;
  let at = 0;
  while (size >= 1000 && at < units.length - 1) {
    size /= 1000;
    at += 1;
  }
  return `${at === 0 ? size : trimmed(size.toPrecision(3))} ${units[at]}`;
}
