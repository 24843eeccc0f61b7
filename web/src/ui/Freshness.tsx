import type { ReadonlySignal } from "@preact/signals";

import type { LiveState } from "../data/live/messages.ts";
import { textOfDuration } from "../data/values.ts";
import { nowMs } from "./Clock.ts";

/** A server says something every ten seconds: what is older is worth a word, in seconds. */
const OLD_S = 15;

/** Whether what is shown follows the server, and how old it is if it does not. */
export function Freshness({ state }: { readonly state: ReadonlySignal<LiveState> }) {
  const { isOpen, heardMs, problem } = state.value;
  const ageS = heardMs === null ? null : Math.max(0, (nowMs.value - heardMs) / 1000);
  if (isOpen && (ageS === null || ageS < OLD_S)) {
    return (
      <span class="freshness freshness-live" title="The page follows the server">
        <span aria-hidden="true">●</span> Live
      </span>
    );
  }
  if (problem === null && ageS === null) return <span class="freshness soft">Connecting</span>;
  const old = ageS === null ? "" : ` Shown is what was known ${textOfDuration(Math.round(ageS))} ago.`;
  return (
    <span class="freshness freshness-old" role="status" title={problem ?? undefined}>
      <span aria-hidden="true">○</span> Not connected.{old}
    </span>
  );
}
