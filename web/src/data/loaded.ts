import { batch, type ReadonlySignal, signal } from "@preact/signals";

import { isAborted, Problem } from "./problem.ts";

/** Reads a value; `signal` ends the request when nobody waits for it any more. */
export type Load<T> = (signal: AbortSignal) => Promise<T>;

/** How long a failed read waits before it is tried again, in milliseconds: doubled each time, up to the longest. */
const FIRST_PAUSE_MS = 1000;
const LONGEST_PAUSE_MS = 30_000;

/**
 * A value of the server that is read again while somebody looks at it.
 *
 * What was read stays while the next response is on its way, and when that fails. A hidden tab reads nothing.
 */
export class Loaded<T> {
  private readonly found = signal<T | null>(null);
  private readonly trouble = signal<unknown>(null);
  private ending: AbortController | null = null;
  private timer: ReturnType<typeof setTimeout> | null = null;
  private everyMs: number | null = null;
  private failures = 0;
  private isOver = false;

  /** The newest value; null until the first one comes. */
  readonly value: ReadonlySignal<T | null> = this.found;
  /** Why the last read failed; null if it did not. */
  readonly error: ReadonlySignal<unknown> = this.trouble;

  constructor(private readonly load: Load<T>) {}

  /** Read again now. Returns when that is done, whether it succeeded or not. */
  async refresh(load: Load<T> = this.load): Promise<void> {
    if (this.isOver) return;
    this.ending?.abort();
    const ending = new AbortController();
    this.ending = ending;
    try {
      const value = await load(ending.signal);
      if (ending.signal.aborted) return;
      this.failures = 0;
      batch(() => {
        this.found.value = value;
        this.trouble.value = null;
      });
    } catch (error) {
      if (isAborted(error) || ending.signal.aborted) return;
      this.failures += 1;
      this.trouble.value = error;
    }
    this.plan();
  }

  /** Read again every so many milliseconds; null: no more. A read that failed in passing is repeated in any case. */
  repeat(everyMs: number | null): void {
    this.everyMs = everyMs;
    this.plan();
  }

  end(): void {
    this.isOver = true;
    this.ending?.abort();
    if (this.timer !== null) clearTimeout(this.timer);
  }

  private plan(): void {
    if (this.timer !== null) clearTimeout(this.timer);
    this.timer = null;
    const pause = this.pauseMs();
    if (this.isOver || pause === null) return;
    this.timer = setTimeout(() => {
      if (typeof document !== "undefined" && document.hidden) this.plan();
      else void this.refresh();
    }, pause);
  }

  private pauseMs(): number | null {
    if (this.trouble.peek() === null) return this.everyMs;
    const error = this.trouble.peek();
    // What is not there yet may come: it is looked for as often as what is there.
    if (error instanceof Problem && error.status === 404) return this.everyMs;
    if (!(error instanceof Problem) || !error.passes) return null;
    const grown = Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** Math.min(10, this.failures));
    return Math.max(grown, (error.retryAfterS ?? 0) * 1000);
  }
}
