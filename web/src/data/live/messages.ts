import type { JsonNumber, Run, Summary } from "../types.ts";

/**
 * A curve that somebody watches: what `tails` of POST /api/v1/live takes. What is told begins where the earliest of the new
 * points is, so nobody has to say how far the curve goes.
 */
export interface WatchedTail {
  readonly run: string;
  readonly metric: string;
  readonly x: string;
  readonly width: number;
}

/** What takes the place of the end of a curve: its buckets from a place on. */
export interface Tail {
  readonly run: string;
  readonly metric: string;
  readonly axis: string;
  readonly width: number;
  readonly from: number;
  readonly points: number;
  readonly earlier: boolean;
  readonly too_many: boolean;
  readonly x: readonly number[];
  readonly count: readonly number[];
  readonly min: readonly JsonNumber[];
  readonly max: readonly JsonNumber[];
  readonly mean: readonly JsonNumber[];
  readonly nan_count: readonly number[];
  readonly flags: readonly number[];
}

/** What a tab wants to hear of. Empty lists: nothing of that kind. */
export interface Wants {
  readonly workspace: string | null;
  readonly project: string | null;
  /** Rows of runs: all of the project, or these. */
  readonly runs: "all" | readonly string[];
  /** Summaries of these metrics (names or globs). */
  readonly metrics: readonly string[];
  readonly tails: readonly WatchedTail[];
  /** Up to where the tab has read, so that nothing is missed: the position of its last answer. */
  readonly since: string | null;
}

export const NOTHING: Wants = { workspace: null, project: null, runs: [], metrics: [], tails: [], since: null };

/** From a tab to the worker. */
export type ToHub =
  | { readonly kind: "want"; readonly wants: Wants; readonly key: string | null }
  | { readonly kind: "leave" };

/** From the worker to a tab. */
export type FromHub =
  | { readonly kind: "runs"; readonly runs: readonly Run[] }
  | { readonly kind: "summaries"; readonly summaries: readonly Summary[] }
  | { readonly kind: "tails"; readonly tails: readonly Tail[] }
  | { readonly kind: "state"; readonly state: LiveState };

/**
 * Whether the stream is open, and how old what was told is: the server's clock at the last message, and this machine's
 * when it came (milliseconds since 1970 UTC). `problem`: why it is not open.
 */
export interface LiveState {
  readonly isOpen: boolean;
  readonly serverAt: string | null;
  readonly heardMs: number | null;
  readonly problem: string | null;
}

export const NEVER_OPEN: LiveState = { isOpen: false, serverAt: null, heardMs: null, problem: null };
