/** Where the marks of an axis stand, and what is written at them. Labels have room: they never overlap. */
import type { Axis } from "../draw/scale.ts";
import { durationTick, powerText, tickText, type AxisKind } from "./format.ts";

export interface Tick {
  readonly at: number;
  readonly label: string;
}

const SECOND = 1e6;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
/** Steps of durations, in microseconds, above a second. */
const DURATIONS: readonly number[] = [1, 2, 5, 10, 15, 30].map((one) => one * SECOND).concat(
  [1, 2, 5, 10, 15, 30].map((one) => one * MINUTE),
  [1, 2, 3, 6, 12].map((one) => one * HOUR),
  [1, 2, 5, 7, 10, 14, 28, 50, 100, 200, 365, 730, 1_825, 3_650].map((one) => one * DAY),
);
/** Never more marks than this, whatever an axis is. */
const MOST = 64;

/** Whether labels at these ticks fit side by side. `room`: pixels that a label needs along the axis. */
export type Fits = (ticks: readonly Tick[]) => boolean;

/**
 * The most ticks of `axis` whose labels fit. `least`: the smallest step between two,
 * 1 on an axis of whole numbers; `most`: how many have room for sure, so that fewer are tried.
 */
export function ticksOf(axis: Axis, kind: AxisKind, fits: Fits, least = 0, most = MOST): Tick[] {
  if (!(axis.from < axis.to) || !Number.isFinite(axis.to - axis.from)) return [];
  // A logarithmic axis has no place at 0 and below: one that is not known yet may ask for it.
  if (axis.log && axis.from <= 0) return [];
  const steps = axis.log ? powers(axis, least) : candidates(axis, kind, Math.max(least, (axis.to - axis.from) / Math.min(MOST, most)));
  for (const ticks of steps) if (ticks.length <= MOST && fits(ticks)) return ticks;
  return [];
}

/** Ticks with ever larger steps. */
function* candidates(axis: Axis, kind: AxisKind, least: number): Generator<Tick[]> {
  const span = axis.to - axis.from;
  for (const step of stepsFrom(Math.max(least, span / MOST), kind)) {
    if (step > span * 2) return;
    const ticks = kind === "time" && step >= SECOND ? times(axis, step) : evenly(axis, step, kind);
    yield ticks;
    if (ticks.length === 0) return;
  }
}

function* stepsFrom(least: number, kind: AxisKind): Generator<number> {
  const timed = kind !== "number";
  if (timed && least >= SECOND) {
    for (const step of DURATIONS) if (step >= least) yield step;
    return;
  }
  const begin = 10 ** Math.floor(Math.log10(least));
  for (let size = begin; Number.isFinite(size) && size > 0; size *= 10) {
    for (const factor of [1, 2, 5]) {
      const step = size * factor;
      if (timed && step >= SECOND) {
        yield* DURATIONS;
        return;
      }
      if (step >= least) yield step;
    }
  }
}

function evenly(axis: Axis, step: number, kind: AxisKind): Tick[] {
  const first = Math.ceil(axis.from / step);
  const last = Math.floor(axis.to / step);
  const ticks: Tick[] = [];
  const largest = Math.max(Math.abs(axis.from), Math.abs(axis.to));
  if (last - first > MOST) return new Array<Tick>(MOST + 1).fill({ at: 0, label: "" });
  for (let number = first; number <= last; number++) {
    // A quotient, where the step is a fraction: 3 * 0.1 is not 0.3.
    const at = step < 1 ? number / Math.round(1 / step) : number * step;
    const place = step < 1 && step * Math.round(1 / step) !== 1 ? number * step : at;
    ticks.push({ at: place, label: kind === "number" ? tickText(place, step, largest) : kind === "duration" ? durationTick(place, step) : clock(place, step) });
  }
  return ticks;
}

/** Ticks at round times of the zone of the machine. */
function times(axis: Axis, step: number): Tick[] {
  const ticks: Tick[] = [];
  const offset = (at: number): number => -new Date(at / 1e3).getTimezoneOffset() * MINUTE;
  let number = Math.ceil((axis.from + offset(axis.from)) / step);
  let day = "";
  for (let left = MOST + 1; left > 0; left--, number++) {
    const local = number * step;
    let at = local - offset(local - offset(axis.from));
    // Where clocks are changed a local time may come twice or never.
    if (at < axis.from) at = local - offset(axis.from);
    if (at > axis.to) break;
    const date = dayText(at);
    const label = step >= DAY ? date : date === day ? clock(at, step) : `${date} ${clock(at, step)}`;
    day = date;
    ticks.push({ at, label });
  }
  return ticks;
}

function clock(us: number, step: number): string {
  const time = new Date(us / 1e3);
  const two = (value: number): string => String(value).padStart(2, "0");
  const minutes = `${two(time.getHours())}:${two(time.getMinutes())}`;
  if (step >= MINUTE) return minutes;
  const seconds = `${minutes}:${two(time.getSeconds())}`;
  if (step >= SECOND) return seconds;
  const part = ((us % SECOND) + SECOND) % SECOND;
  return `${seconds}.${String(Math.round(part)).padStart(6, "0").slice(0, Math.max(1, 6 - Math.floor(Math.log10(step))))}`;
}

function dayText(us: number): string {
  const time = new Date(us / 1e3);
  return `${time.getDate()} ${time.toLocaleString("en-GB", { month: "short" })}`;
}

/** Ticks of a logarithmic axis: 1, 2, 5 of each decade, decades, every n-th decade; evenly, where it has no decade. */
function* powers(axis: Axis, least: number): Generator<Tick[]> {
  const first = Math.floor(Math.log10(axis.from));
  const last = Math.ceil(Math.log10(axis.to));
  const within = (at: number): boolean => at >= axis.from && at <= axis.to && at > 0;
  const make = (factors: readonly number[], apart: number): Tick[] => {
    const ticks: Tick[] = [];
    for (let power = Math.ceil(first / apart) * apart; power <= last; power += apart) {
      for (const factor of factors) {
        const at = Number(`${factor}e${power}`);
        if (within(at)) ticks.push({ at, label: powerText(at) });
      }
    }
    return ticks;
  };
  if (axis.to / axis.from < 10) yield* candidates(axis, "number", least);
  yield make([1, 2, 5], 1);
  for (let apart = 1; apart <= last - first + 1; apart++) yield make([1], apart);
}

/** Whether labels of `size` pixels for a character have room beside each other on an axis of `length` pixels. */
export function besides(place: (at: number) => number, character: number, gap: number, length: number): Fits {
  return (ticks) => {
    let end = -Infinity;
    for (const { at, label } of ticks) {
      const half = (label.length * character) / 2;
      const middle = Math.min(Math.max(place(at), half), length - half);
      if (middle - half < end + gap) return false;
      end = middle + half;
    }
    return true;
  };
}

/** Whether labels of `height` pixels have room above each other, and at most so many characters. */
export function above(place: (at: number) => number, height: number, characters: number): Fits {
  return (ticks) => {
    let before = NaN;
    for (const { at, label } of ticks) {
      if (label.length > characters) return false;
      const here = place(at);
      if (Math.abs(here - before) < height) return false;
      before = here;
    }
    return true;
  };
}
