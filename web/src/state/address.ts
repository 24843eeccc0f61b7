import { computed, type ReadonlySignal, signal } from "@preact/signals";

/**
 * What the address bar holds, as signals: the path, and the query string in which a view keeps what it shows.
 *
 * A change is one entry of the browser's history, so back and forward undo and redo it. Changes that come many a second
 * (a zoom that is being dragged) replace the entry.
 */
export class Address {
  private readonly location = signal(new URL("http://page/"));
  readonly path: ReadonlySignal<string> = computed(() => this.location.value.pathname);
  readonly query: ReadonlySignal<URLSearchParams> = computed(() => this.location.value.searchParams);
  readonly text: ReadonlySignal<string> = computed(() => this.location.value.pathname + this.location.value.search);

  constructor(private readonly window: Pick<Window, "history" | "location" | "addEventListener">) {
    this.read();
    window.addEventListener("popstate", () => this.read());
  }

  /** Go to another address of the page: a path with its query string. */
  go(to: string, how: "push" | "replace" = "push"): void {
    const target = new URL(to, this.location.peek());
    if (target.href === this.location.peek().href) return;
    const shown = target.pathname + target.search;
    if (how === "push") this.window.history.pushState(null, "", shown);
    else this.window.history.replaceState(null, "", shown);
    this.location.value = target;
  }

  /** Change some members of the query string; null takes one away. */
  change(changes: Readonly<Record<string, string | null>>, how: "push" | "replace" = "push"): void {
    const target = new URL(this.location.peek());
    for (const [name, value] of Object.entries(changes)) {
      if (value === null) target.searchParams.delete(name);
      else target.searchParams.set(name, value);
    }
    this.go(target.pathname + target.search, how);
  }

  private read(): void {
    this.location.value = new URL(this.window.location.href);
  }
}

/** How a value stands in the query string. `print` returns null for the default, which is left out. */
export interface Codec<T> {
  readonly parse: (text: string | null) => T;
  readonly print: (value: T) => string | null;
}

/** A value in the query string, as a signal that can be set. */
export class Param<T> {
  private readonly text: ReadonlySignal<string | null>;
  private readonly parsed: ReadonlySignal<T>;

  constructor(
    private readonly address: Address,
    readonly name: string,
    private readonly codec: Codec<T>,
  ) {
    this.text = computed(() => address.query.value.get(name));
    this.parsed = computed(() => codec.parse(this.text.value));
  }

  get value(): T {
    return this.parsed.value;
  }

  /** The value, without following its changes. */
  peek(): T {
    return this.parsed.peek();
  }

  set(value: T, how: "push" | "replace" = "push"): void {
    this.address.change({ [this.name]: this.codec.print(value) }, how);
  }

  /** What has to change in the query string for this value, to change several at once. */
  with(value: T): Record<string, string | null> {
    return { [this.name]: this.codec.print(value) };
  }
}

/** A text; the default is left out. */
export function text(standard = ""): Codec<string> {
  return {
    parse: (given) => given ?? standard,
    print: (value) => (value === standard ? null : value),
  };
}

/** One of some words; anything else is the first. */
export function oneOf<T extends string>(words: readonly [T, ...T[]]): Codec<T> {
  return {
    parse: (given) => words.find((word) => word === given) ?? words[0],
    print: (value) => (value === words[0] ? null : value),
  };
}

/** A number within bounds; what is none is the default. */
export function number(standard: number, low: number, high: number): Codec<number> {
  return {
    parse: (given) => {
      const value = given === null || given.trim() === "" ? Number.NaN : Number(given);
      return Number.isFinite(value) ? Math.min(high, Math.max(low, value)) : standard;
    },
    print: (value) => (value === standard ? null : String(value)),
  };
}

export const flag: Codec<boolean> = {
  parse: (given) => given === "1",
  print: (value) => (value ? "1" : null),
};

/** A list of texts, which may have any characters: each is quoted as in an address, commas stand between. */
export function list(standard: readonly string[] = []): Codec<readonly string[]> {
  const printed = print(standard);
  return {
    parse: (given) => (given === null ? standard : given === "" ? [] : given.split(",").map(unquoted)),
    print: (values) => (print(values) === printed ? null : print(values)),
  };
}

function print(values: readonly string[]): string {
  return values.map((value) => value.replace(/[%,]/g, encodeURIComponent)).join(",");
}

function unquoted(text: string): string {
  return text.replace(/%25|%2C/gi, (found) => (found === "%25" ? "%" : ","));
}

/** A pair of numbers, the first below the second; null: none. */
export const range: Codec<readonly [number, number] | null> = {
  parse: (given) => {
    const [low, high, ...more] = (given ?? "").split("~").map((part) => (part === "" ? Number.NaN : Number(part)));
    if (low === undefined || high === undefined || more.length > 0) return null;
    return Number.isFinite(low) && Number.isFinite(high) && low < high ? [low, high] : null;
  },
  print: (value) => (value === null ? null : `${rounded(value[0], value)}~${rounded(value[1], value)}`),
};

/** A number in as many digits as a window of a screen's width needs. */
function rounded(value: number, [low, high]: readonly [number, number]): number {
  const grain = 10 ** Math.floor(Math.log10((high - low) / 10_000));
  const found = Math.round(value / grain) * grain;
  return Number.isFinite(found) ? Number(found.toPrecision(15)) : value;
}
