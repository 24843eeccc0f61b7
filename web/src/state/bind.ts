import { effect, type Signal } from "@preact/signals";

import type { Param } from "./address.ts";

/** Changes that follow each other faster than this are one entry of the browser's history, in milliseconds. */
const SAME_MS = 800;

/**
 * Keep a signal and a member of the query string the same, in both directions, until the returned function is called. At first
 * the query string decides.
 */
export function bind<S, P>(
  target: Signal<S>,
  param: Param<P>,
  toSignal: (value: P) => S,
  toParam: (value: S) => P,
  isSame: (one: S, other: S) => boolean = Object.is,
): () => void {
  let changedMs = 0;
  const stopReading = effect(() => {
    const value = toSignal(param.value);
    if (!isSame(target.peek(), value)) target.value = value;
  });
  const stopWriting = effect(() => {
    const value = target.value;
    if (isSame(toSignal(param.peek()), value)) return;
    const now = Date.now();
    param.set(toParam(value), now - changedMs < SAME_MS ? "replace" : "push");
    changedMs = now;
  });
  return () => {
    stopReading();
    stopWriting();
  };
}
