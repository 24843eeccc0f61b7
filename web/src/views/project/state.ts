import { computed, type ReadonlySignal, type Signal, signal } from "@preact/signals";

import { ChartsState } from "../../chart/chartsState.ts";
import { type Address, type Codec, flag, list, number, oneOf, Param, text } from "../../state/address.ts";
import { fieldOf } from "../../state/filters.ts";
import { curveColumn } from "./columns.ts";


export const DEFAULT_SORT = "-created";
/** How many runs have their curves drawn, unless somebody wants more. */
const DRAWN = 100;
const MOST_DRAWN = 1000;

const NONE: readonly string[] = [];

/** What the view of a project shows, all of it in the address. */
export class ProjectState extends ChartsState {
  readonly filter: Param<string>;
  readonly sort: Param<string>;
  /** Columns besides the name: fields of the filter language, or `curve:METRIC`. */
  readonly columns: Param<readonly string[] | null>;
  readonly pinned: Param<readonly string[]>;
  /** Runs whose curves are not drawn. */
  readonly hidden: Param<readonly string[]>;
  /** Runs that are ticked. */
  readonly ticked: Param<readonly string[]>;
  readonly drawn: Param<number>;
  /** The length that is averaged over, in units of the axis; 0: none. */
  readonly smoothing: Param<number>;
  readonly outliers: Param<boolean>;
  readonly group: Param<readonly string[]>;
  readonly search: Param<string>;
  readonly side: Param<"both" | "table" | "charts">;
  readonly asOf: Param<string>;

  /** The run under the pointer, in the table or in a chart. */
  readonly highlighted: Signal<string | null> = signal(null);
  readonly isPast: ReadonlySignal<boolean>;
  /** The fields that curves are grouped by: none of the past, of which the server knows no groups. */
  readonly grouping: ReadonlySignal<readonly string[]>;

  constructor(address: Address) {
    super(address);
    this.filter = new Param(address, "filter", text());
    this.sort = new Param(address, "sort", text(DEFAULT_SORT));
    this.columns = new Param(address, "cols", CHOSEN);
    this.pinned = new Param(address, "pin", list());
    this.hidden = new Param(address, "hide", list());
    this.ticked = new Param(address, "ticked", list());
    this.drawn = new Param(address, "draw", number(DRAWN, 1, MOST_DRAWN));
    this.smoothing = new Param(address, "smooth", number(0, 0, Number.MAX_VALUE));
    this.outliers = new Param(address, "clip", flag);
    this.group = new Param(address, "group", list());
    this.search = new Param(address, "metrics", text());
    this.side = new Param(address, "side", oneOf(["both", "table", "charts"]));
    this.asOf = new Param(address, "as_of", text());
    this.isPast = computed(() => this.asOf.value !== "");
    this.grouping = computed(() => (this.isPast.value ? NONE : this.group.value));
  }

  protected override withoutPlaces(): Record<string, string | null> {
    return { ...super.withoutPlaces(), ...this.smoothing.with(0) };
  }
}

/** Columns that somebody chose; null: nobody did. */
const CHOSEN: Codec<readonly string[] | null> = {
  parse: (given) => (given === null ? null : list().parse(given)),
  print: (value) => (value === null ? null : (list().print(value) ?? "")),
};

/** Return the columns of a table that nobody changed. */
export function standardColumns(metric: string | null): readonly string[] {
  const ofMetric = metric === null ? [] : [curveColumn(metric), fieldOf("metric", metric, "last")];
  return ["status", ...ofMetric, "started", "duration", "tags"];
}

/** Sort by a field: first descending, because the largest and the newest are asked for most, then ascending, then not. */
export function nextSort(sort: string, field: string): string {
  if (sort === `-${field}`) return field;
  return sort === field ? DEFAULT_SORT : `-${field}`;
}
