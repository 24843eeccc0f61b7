import { type ReadonlySignal, signal } from "@preact/signals";

const ticking = signal(Date.now());

/** The present in milliseconds since 1970 UTC, to the second, for "3s ago". It rests while the tab is hidden. */
export const nowMs: ReadonlySignal<number> = ticking;

if (typeof document !== "undefined") {
  setInterval(() => {
    if (!document.hidden) ticking.value = Date.now();
  }, 1000);
  document.addEventListener("visibilitychange", () => {
    if (!document.hidden) ticking.value = Date.now();
  });
}
