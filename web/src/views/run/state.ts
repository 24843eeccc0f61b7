import { type Address, type Codec, oneOf, Param, text } from "../../state/address.ts";

export const TABS = [
  "overview",
  "metrics",
  "parameters",
  "environment",
  "media",
  "files",
  "history",
] as const;
export type TabName = (typeof TABS)[number];

/** What the view of a run shows, all of it in the address. */
export class RunViewState {
  readonly tab: Param<TabName>;
  /** A position or a time; empty: now. */
  readonly asOf: Param<string>;
  /** What is looked for in the tab's names. */
  readonly find: Param<string>;
  readonly sort: Param<string>;
  /** The step whose media are shown; null: the newest. */
  readonly step: Param<number | null>;
  /** The file that is opened, by its id. */
  readonly file: Param<string>;

  constructor(readonly address: Address) {
    this.tab = new Param<TabName>(address, "tab", oneOf(TABS));
    this.asOf = new Param(address, "as_of", text());
    this.find = new Param(address, "find", text());
    this.sort = new Param(address, "sort", text());
    this.step = new Param(address, "step", wholeOrNull);
    this.file = new Param(address, "file", text());
  }
}

const wholeOrNull: Codec<number | null> = {
  parse: (given) => (given !== null && /^-?\d{1,15}$/.test(given) ? Number(given) : null),
  print: (value) => (value === null ? null : String(value)),
};
