import { createContext } from "preact";
import { useContext } from "preact/hooks";

import type { When } from "../../data/details.ts";
import type { RunDetail } from "../../data/types.ts";
import type { RunViewState } from "./state.ts";

/** What the tabs of a run's view share. */
export interface OfRun {
  readonly state: RunViewState;
  readonly run: string;
  readonly detail: RunDetail;
  /** The moment that is shown. */
  readonly when: When;
  /** How often a tab reads its values again, in milliseconds; null: they do not change by themselves. */
  readonly everyMs: number | null;
  /** Whether a person may change the run: the key may write, and the present is shown. */
  readonly mayEdit: boolean;
  /** Read the run again, so that it covers a position of the log. */
  readonly refresh: (position: string) => Promise<void>;
}

export const RunContext = createContext<OfRun | null>(null);

export function useRun(): OfRun {
  const shared = useContext(RunContext);
  if (shared === null) throw new Error("a part of a run's view stands outside of it");
  return shared;
}
