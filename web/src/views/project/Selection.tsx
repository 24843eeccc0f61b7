import type { RunList } from "../../data/runs.ts";
import { textOfCount } from "../../data/values.ts";
import { both, quoted } from "../../state/filters.ts";
import { addressOf } from "../../state/routes.ts";
import { Link } from "../../ui/Link.tsx";
import type { ProjectState } from "./state.ts";

interface SelectionProps {
  readonly workspace: string;
  readonly project: string;
  readonly state: ProjectState;
  readonly list: RunList;
  /** How many runs have their curves drawn. */
  readonly drawn: number;
}

const CHOICES = [10, 100, 300, 1000] as const;

/** How many runs there are, of how many the curves are drawn, and what can be done with those that are ticked. */
export function Selection({ workspace, project, state, list, drawn }: SelectionProps) {
  const total = list.total.value;
  const ticked = state.ticked.value;
  const isGrouped = state.grouping.value.length > 0;
  const hidden = state.hidden.value.length;
  return (
    <div class="counted" role="status">
      {total === null ? "Loading runs" : `${textOfCount(total)} ${total === 1 ? "run" : "runs"}`}
      {total !== null && total > drawn && isGrouped ? <span>groups of the first {textOfCount(drawn)}</span> : null}
      {total !== null && total > drawn && !isGrouped ? (
        <label>
          curves of the first{" "}
          <select
            aria-label="Of how many runs curves are drawn, in the order of the table"
            value={String(state.drawn.value)}
            onChange={(event) => state.drawn.set(Number(event.currentTarget.value))}
          >
            {[...new Set([...CHOICES, state.drawn.value])]
              .sort((one, other) => one - other)
              .map((count) => (
                <option key={count} value={String(count)}>
                  {count}
                </option>
              ))}
          </select>
        </label>
      ) : null}
      {hidden === 0 ? null : (
        <button type="button" class="chip" onClick={() => state.hidden.set([])}>
          {hidden} hidden: show
        </button>
      )}
      {ticked.length === 0 ? null : (
        <>
          <button
            type="button"
            class="chip"
            title="Make the ticked runs the filter"
            onClick={() => state.address.change({ ...state.filter.with(filterOf(ticked)), ...state.ticked.with([]) })}
          >
            Only the {ticked.length} ticked
          </button>
          <button
            type="button"
            class="chip"
            title="Add to the filter that the ticked runs are left out"
            onClick={() =>
              state.address.change({
                ...state.filter.with(both(state.filter.value, `not (${filterOf(ticked)})`)),
                ...state.ticked.with([]),
              })
            }
          >
            All but these
          </button>
          {ticked.length < 2 ? null : (
            <Link to={`${addressOf(workspace, project, "-", "compare")}?runs=${ticked.map(encodeURIComponent).join(",")}`}>
              Compare
            </Link>
          )}
          <button type="button" class="quiet" onClick={() => state.ticked.set([])}>
            Untick
          </button>
        </>
      )}
    </div>
  );
}

function filterOf(runs: readonly string[]): string {
  return `id in (${runs.map(quoted).join(", ")})`;
}
