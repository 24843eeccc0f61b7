import { type Address, type Codec, flag, oneOf, Param, text } from "../../state/address.ts";

export const TABS = [
  "overview",
  "charts",
  "metrics",
  "parameters",
  "environment",
  "system",
  "console",
  "media",
  "files",
  "artifacts",
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
  /** The line of the console that is opened, from 1; null: its end. */
  readonly line: Param<number | null>;
  /** A moment that the console goes to; empty: none. */
  readonly at: Param<string>;
  readonly writer: Param<string>;
  readonly stream: Param<string>;
  readonly regex: Param<boolean>;
  readonly matchCase: Param<boolean>;
  /** Whether only lines that match are shown. */
  readonly only: Param<boolean>;
  readonly times: Param<boolean>;

  constructor(readonly address: Address) {
    this.tab = new Param<TabName>(address, "tab", oneOf(TABS));
    this.asOf = new Param(address, "as_of", text());
    this.find = new Param(address, "find", text());
    this.sort = new Param(address, "sort", text());
    this.step = new Param(address, "step", wholeOrNull);
    this.file = new Param(address, "file", text());
    this.line = new Param(address, "line", wholeOrNull);
    this.at = new Param(address, "at", text());
    this.writer = new Param(address, "writer", text());
    this.stream = new Param(address, "stream", text());
    this.regex = new Param(address, "re", flag);
    this.matchCase = new Param(address, "case", flag);
    this.only = new Param(address, "only", flag);
    this.times = new Param(address, "times", flag);
  }

  /** The address of the charts around a moment: by time of day, ten minutes long. */
  toCharts(at: string): string {
    const us = Date.parse(at) * 1000;
    const query = new URLSearchParams({ tab: "charts", x: "time", zoom: `${us - AROUND_US}~${us + AROUND_US}` });
    return `${this.address.path.value}?${query}`;
  }

  /** The address of a tab at a moment: what happened there. */
  to(tab: TabName, at: string): string {
    const query = new URLSearchParams({ tab, at });
    if (this.asOf.value !== "") query.set("as_of", this.asOf.value);
    return `${this.address.path.value}?${query}`;
  }
}

/** How much is shown before and behind a moment, in microseconds. */
const AROUND_US = 300_000_000;

const wholeOrNull: Codec<number | null> = {
  parse: (given) => (given !== null && /^-?\d{1,15}$/.test(given) ? Number(given) : null),
  print: (value) => (value === null ? null : String(value)),
};
