import { type ReadonlySignal, signal } from "@preact/signals";
import { useEffect, useMemo } from "preact/hooks";

import type { Client } from "../../../data/client.ts";
import { matchesOf, type OutputLine, type Printed, type Search } from "../../../data/output.ts";
import { isAborted } from "../../../data/problem.ts";
import { useServices } from "../../../state/services.ts";
import { useRun } from "../context.ts";

/** Lines of one request. */
const PAGE = 500;
/** Lines that are kept; the server knows how many there are beyond them. */
const MOST = 100_000;
/** A pause in typing after which a search begins, in milliseconds. */
const PAUSE_MS = 250;

/** The lines that a search found, as far as somebody looks. */
export class Found {
  private readonly found = signal<readonly OutputLine[]>([]);
  private readonly counted = signal<number | null>(null);
  private readonly trouble = signal<unknown>(null);
  private readonly ending = new AbortController();
  private next: number | null = 1;
  private isLoading = false;

  readonly rows: ReadonlySignal<readonly OutputLine[]> = this.found;
  /** How many lines match in all; null while it is not known. */
  readonly count: ReadonlySignal<number | null> = this.counted;
  readonly error: ReadonlySignal<unknown> = this.trouble;

  constructor(
    private readonly client: Client,
    private readonly printed: Printed,
    readonly search: Search,
  ) {}

  /** Read the next lines that match, if there are any. */
  async more(): Promise<void> {
    if (this.next === null || this.isLoading || this.found.value.length >= MOST || this.trouble.value !== null) return;
    this.isLoading = true;
    try {
      const page = await matchesOf(this.client, this.printed, this.search, this.next, PAGE, this.ending.signal);
      this.next = page.next_line;
      this.counted.value = page.count;
      this.found.value = [...this.found.value, ...page.matches];
    } catch (error) {
      if (!isAborted(error)) this.trouble.value = error;
    } finally {
      this.isLoading = false;
    }
  }

  /** The number of the next line that matches behind one, or before it; at the ends it goes on at the other one. */
  async from(line: number, way: 1 | -1): Promise<number | null> {
    const isBehind = (row: OutputLine) => row.number > line;
    while (way === 1 && this.next !== null && !this.found.value.some(isBehind) && this.found.value.length < MOST) {
      const before = this.next;
      await this.more();
      if (this.next === before) break;
    }
    const rows = this.found.value;
    const hit = way === 1 ? rows.find(isBehind) : rows.findLast((row) => row.number < line);
    return (hit ?? (way === 1 ? rows[0] : rows.at(-1)))?.number ?? null;
  }

  end(): void {
    this.ending.abort();
  }
}

/** What the search in the address finds; null: nothing is searched. */
export function useMatches(printed: Printed): Found | null {
  const { client } = useServices();
  const { state } = useRun();
  const search: Search = { search: state.find.value, regex: state.regex.value, ignoreCase: !state.matchCase.value };
  const key = JSON.stringify([printed, search]);
  const found = useMemo(() => (search.search === "" ? null : new Found(client, printed, search)), [key]);
  useEffect(() => {
    const timer = setTimeout(() => void found?.more(), PAUSE_MS);
    return () => {
      clearTimeout(timer);
      found?.end();
    };
  }, [found]);
  return found;
}
