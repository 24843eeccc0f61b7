import type { VNode } from "preact";

import { textOfCount } from "../data/values.ts";
import type { Param } from "../state/address.ts";
import { toggled } from "../state/lists.ts";
import { sectionsOf } from "../state/sections.ts";

interface ChartSectionsProps {
  readonly metrics: readonly string[];
  /** In the address stand the sections that are not as they are at first. */
  readonly folded: Param<readonly string[]>;
  /** Whether a section, the `at`-th one, is open until somebody folds it. */
  readonly isOpenAtFirst: (prefix: string, at: number) => boolean;
  /** Whether all are open, whatever was folded. */
  readonly areAllOpen: boolean;
  readonly chart: (metric: string) => VNode;
}

/** A chart for each metric, in sections that can be folded, by what the names begin with. */
export function ChartSections({ metrics, folded, isOpenAtFirst, areAllOpen, chart }: ChartSectionsProps) {
  return (
    <>
      {sectionsOf(metrics).map(({ prefix, metrics: members }, at) => {
        const isOpen = areAllOpen || isOpenAtFirst(prefix, at) !== folded.value.includes(prefix);
        return (
          <section key={prefix} class="chart-section">
            <h2>
              <button type="button" class="quiet" aria-expanded={isOpen} onClick={() => folded.set(toggled(folded.value, prefix))}>
                <span aria-hidden="true">{isOpen ? "▾" : "▸"}</span> {prefix === "" ? "charts" : prefix}{" "}
                <span class="soft">{textOfCount(members.length)}</span>
              </button>
            </h2>
            {isOpen ? <div class="chart-grid">{members.map(chart)}</div> : null}
          </section>
        );
      })}
    </>
  );
}
