import { type Address, list, Param, text } from "../../state/address.ts";

/** What the view of a sweep shows, all of it in the address. */
export class ViewState {
  readonly filter: Param<string>;
  /** The field that is to be good: a metric's. */
  readonly target: Param<string>;
  /** Fields with an axis; none: all parameters that differ. */
  readonly axes: Param<readonly string[]>;
  /** The field across the scatter plot. */
  readonly across: Param<string>;

  constructor(readonly address: Address) {
    this.filter = new Param(address, "filter", text());
    this.target = new Param(address, "target", text());
    this.axes = new Param(address, "axes", list());
    this.across = new Param(address, "across", text());
  }
}
