import { type Address, flag, list, oneOf, Param, text } from "../../state/address.ts";

export const PARTS = ["values", "code"] as const;
export type Part = (typeof PARTS)[number];

/** What the comparison of runs shows, all of it in the address. */
export class CompareState {
  readonly runs: Param<readonly string[]>;
  readonly part: Param<Part>;
  /** Whether rows in which all runs have the same are shown, too. */
  readonly all: Param<boolean>;
  readonly find: Param<string>;
  readonly noCurves: Param<boolean>;
  /** The two runs whose code is compared; empty: the first two. */
  readonly before: Param<string>;
  readonly after: Param<string>;
  readonly asOf: Param<string>;

  constructor(readonly address: Address) {
    this.runs = new Param(address, "runs", list());
    this.part = new Param<Part>(address, "part", oneOf(PARTS));
    this.all = new Param(address, "all", flag);
    this.find = new Param(address, "find", text());
    this.noCurves = new Param(address, "nocurves", flag);
    this.before = new Param(address, "a", text());
    this.after = new Param(address, "b", text());
    this.asOf = new Param(address, "as_of", text());
  }
}
