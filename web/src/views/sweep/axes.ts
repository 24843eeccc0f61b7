import type { Logged, Run } from "../../data/types.ts";
import { numberOf, textOfNumber, textOfValue } from "../../data/values.ts";
import { quoted } from "../../state/filters.ts";

/** How values of a field lie on an axis from 0 to 1. Pure. */
export interface FieldAxis {
  readonly field: string;
  readonly kind: "linear" | "log" | "words";
  /** Of numbers: the lowest and the highest. */
  readonly low: number;
  readonly high: number;
  /** Of words: all of them, in order; each has a place of its own. */
  readonly words: readonly string[];
  /** The words as filters write them: a number among words is no text. */
  readonly literals: readonly string[];
  /** Runs that have no value here. */
  readonly missing: number;
}

/** A field with more words than this has no axis that can be read. */
export const MOST_WORDS = 40;
/** Numbers that span more than this factor lie on a logarithmic axis. */
const LOG_FACTOR = 50;

/** Return the axis of a field over the values that runs have; null if none has one, or there are too many words. */
export function axisOf(field: string, values: readonly (Logged | undefined)[]): FieldAxis | null {
  const there = values.filter((value) => value !== undefined && value !== null);
  const missing = values.length - there.length;
  if (there.length === 0) return null;
  const numbers = there.map(numberOf);
  if (numbers.every((value) => value !== null)) {
    const finite = numbers.filter((value): value is number => value !== null && Number.isFinite(value));
    if (finite.length === 0) return null;
    const low = finite.reduce((least, value) => Math.min(least, value));
    const high = finite.reduce((most, value) => Math.max(most, value));
    const kind = low > 0 && high / low > LOG_FACTOR ? "log" : "linear";
    return { field, kind, low, high, words: [], literals: [], missing };
  }
  const literals = new Map(there.map((value) => [textOfValue(value), literalOf(value)]));
  const words = [...literals.keys()].sort(ORDER.compare);
  if (words.length > MOST_WORDS) return null;
  return { field, kind: "words", low: 0, high: 0, words, literals: words.map((word) => literals.get(word) ?? quoted(word)), missing };
}

const ORDER = new Intl.Collator("en", { numeric: true });

/** Where a value lies, from 0 to 1; null: it has no place. */
export function placeOn(axis: FieldAxis, value: Logged | undefined): number | null {
  if (value === undefined || value === null) return null;
  if (axis.kind === "words") {
    const at = axis.words.indexOf(textOfValue(value));
    return at < 0 ? null : axis.words.length === 1 ? 0.5 : at / (axis.words.length - 1);
  }
  const number = numberOf(value);
  if (number === null || !Number.isFinite(number)) return null;
  if (axis.low === axis.high) return 0.5;
  if (axis.kind === "log") return Math.log(number / axis.low) / Math.log(axis.high / axis.low);
  return (number - axis.low) / (axis.high - axis.low);
}

/** The number at a place of an axis of numbers. */
export function numberAt(axis: FieldAxis, place: number): number {
  if (axis.kind === "log") return axis.low * (axis.high / axis.low) ** place;
  return axis.low + place * (axis.high - axis.low);
}

/** Marks of an axis: its ends and some between, or its words. */
export function marksOf(axis: FieldAxis, most: number): readonly { readonly place: number; readonly text: string }[] {
  if (axis.kind === "words") {
    const every = Math.ceil(axis.words.length / most);
    return axis.words
      .map((text, at) => ({ place: axis.words.length === 1 ? 0.5 : at / (axis.words.length - 1), text }))
      .filter((_, at) => at % every === 0);
  }
  if (axis.low === axis.high) return [{ place: 0.5, text: textOfNumber(axis.low, 4) }];
  return Array.from({ length: most }, (_, at) => {
    const place = at / (most - 1);
    return { place, text: textOfNumber(numberAt(axis, place), 3) };
  });
}

/** Return the test of the filter language for what lies between two places; null: nothing does. */
export function testOf(axis: FieldAxis, from: number, to: number): string | null {
  const low = Math.min(from, to);
  const high = Math.max(from, to);
  if (axis.kind === "words") {
    const chosen = axis.literals.filter((_, at) => {
      const place = placeOn(axis, axis.words[at]);
      return place !== null && place >= low && place <= high;
    });
    return chosen.length === 0 ? null : `${axis.field} in (${chosen.join(", ")})`;
  }
  return `${axis.field} between ${literal(numberAt(axis, Math.max(0, low)), -1)} and ${literal(numberAt(axis, Math.min(1, high)), 1)}`;
}

function literalOf(value: Logged): string {
  if (typeof value === "boolean" || typeof value === "number") return String(value);
  return quoted(typeof value === "string" ? value : JSON.stringify(value));
}

/** A number in few digits, rounded so that the range does not become smaller. */
function literal(value: number, direction: -1 | 1): string {
  if (value === 0) return "0";
  const digits = 4;
  const scale = 10 ** (digits - 1 - Math.floor(Math.log10(Math.abs(value))));
  if (!Number.isFinite(scale) || scale === 0) return String(value);
  const rounded = (direction < 0 ? Math.floor(value * scale) : Math.ceil(value * scale)) / scale;
  return String(Number(rounded.toPrecision(digits + 1)));
}

/** The value of a field of a run, among the columns that came with it. */
export function valueOf(run: Run, field: string): Logged | undefined {
  return run.columns[field];
}
