import { type ReadonlySignal, signal } from "@preact/signals";

import type { Client } from "./client.ts";
import { runPath } from "./details.ts";
import { isAborted } from "./problem.ts";

/** A line that a run printed, by its number from 1. */
export interface OutputLine {
  readonly number: number;
  readonly at: string;
  readonly writer: string;
  readonly stream: "stdout" | "stderr";
  readonly text: string;
  /** Whether the line is longer than its text. */
  readonly cut?: boolean;
}

export interface OutputLines {
  readonly lines: readonly OutputLine[];
  readonly total: number;
  readonly next_line: number;
}

export interface OutputWriter {
  readonly writer: string;
  readonly first_line: number;
  readonly lines: number;
  readonly began_at: string;
  readonly last_at: string;
}

export interface OutputMatches {
  readonly matches: readonly OutputLine[];
  /** How many lines match in all. */
  readonly count: number;
  readonly total: number;
  readonly next_line: number | null;
}

/** Which lines are numbered: of one writer, of one stream; null: of all. */
export interface Printed {
  readonly run: string;
  readonly writer: string | null;
  readonly stream: string | null;
}

export interface Search {
  readonly search: string;
  readonly regex: boolean;
  readonly ignoreCase: boolean;
}

export function linesOf(
  client: Client,
  { run, writer, stream }: Printed,
  from: { readonly line: number } | { readonly time: string },
  limit: number,
  signal?: AbortSignal,
): Promise<OutputLines> {
  const place = "line" in from ? { from_line: from.line } : { time_from: from.time };
  return client.json<OutputLines>(`${runPath(run)}/output/lines`, { query: { writer, stream, limit, ...place }, signal });
}

export async function printersOf(client: Client, run: string, signal?: AbortSignal): Promise<readonly OutputWriter[]> {
  const found = await client.json<{ readonly writers: readonly OutputWriter[] }>(`${runPath(run)}/output/writers`, { signal });
  return found.writers;
}

export function matchesOf(
  client: Client,
  { run, writer, stream }: Printed,
  { search, regex, ignoreCase }: Search,
  fromLine: number,
  limit: number,
  signal?: AbortSignal,
): Promise<OutputMatches> {
  const query = { writer, stream, search, regex, ignore_case: ignoreCase, from_line: fromLine, limit };
  return client.json<OutputMatches>(`${runPath(run)}/output/search`, { query, signal });
}

/** Lines of one request, and blocks of so many that are remembered. */
const BLOCK = 500;
const MOST_BLOCKS = 100;

export type LoadLines = (fromLine: number, limit: number, signal: AbortSignal) => Promise<OutputLines>;

/**
 * The lines of a run of which a part is looked at: what is visible is read in blocks, the newest blocks are kept.
 *
 * Lines are numbered from 1.
 */
export class LineStore {
  private readonly counted = signal<number | null>(null);
  private readonly changed = signal(0);
  private readonly trouble = signal<unknown>(null);
  /** Blocks by their number, the one that was used last at the end. */
  private readonly blocks = new Map<number, (OutputLine | undefined)[]>();
  private wanted: readonly [number, number] = [1, 1];
  private ending: AbortController | null = null;
  private isOver = false;

  /** How many lines there are; null while it is not known. */
  readonly total: ReadonlySignal<number | null> = this.counted;
  /** Another number: other lines are known than before. */
  readonly version: ReadonlySignal<number> = this.changed;
  readonly error: ReadonlySignal<unknown> = this.trouble;

  /** @param isSteady whether lines keep their numbers when others are printed: false where several writers print at once */
  constructor(
    private readonly load: LoadLines,
    private isSteady = true,
  ) {}

  line(number: number): OutputLine | undefined {
    return this.blocks.get(blockOf(number))?.[(number - 1) % BLOCK];
  }

  /** Have the lines [first, end), as soon as they come. What was wanted before is not, any more. */
  async need(first: number, end: number): Promise<void> {
    this.wanted = [Math.max(1, first), end];
    const missing = this.missing();
    // Before anything is known, `grow` reads the end, which is what is looked at first.
    if (missing === null || this.isOver || this.counted.value === null) return;
    this.ending?.abort();
    const ending = new AbortController();
    this.ending = ending;
    try {
      for (let next: readonly [number, number] | null = missing; next !== null; ) {
        const found: OutputLines = await this.load(next[0], next[1], ending.signal);
        if (ending.signal.aborted) return;
        this.take(found);
        const after: readonly [number, number] | null = this.missing();
        // A server that gives nothing of what it has would be asked for ever.
        next = after !== null && after[0] === next[0] ? null : after;
      }
    } catch (error) {
      if (!isAborted(error) && !ending.signal.aborted) this.trouble.value = error;
    }
  }

  /** Look whether more was printed: read the last line again, which may have had no end, and what is behind it. */
  async grow(): Promise<void> {
    if (this.isOver) return;
    const ending = new AbortController();
    const last = Math.max(1, this.counted.value ?? 1);
    try {
      const found = await this.load(this.counted.value === null ? -BLOCK : last, BLOCK, ending.signal);
      if (this.isOver) return;
      if (!this.isSteady && found.total !== this.counted.value) this.blocks.clear();
      this.take(found);
      await this.need(...this.wanted);
    } catch (error) {
      if (!isAborted(error)) this.trouble.value = error;
    }
  }

  /** Whether lines keep their numbers from now on. */
  steady(isSteady: boolean): void {
    this.isSteady = isSteady;
  }

  end(): void {
    this.isOver = true;
    this.ending?.abort();
  }

  /** The first line that is wanted and not there, and how many to ask for; null: all are there. */
  private missing(): readonly [number, number] | null {
    const end = Math.min(this.wanted[1], (this.counted.value ?? Infinity) + 1);
    for (let number = this.wanted[0]; number < end; number += 1) {
      if (this.line(number) === undefined) return [number, BLOCK - ((number - 1) % BLOCK)];
    }
    return null;
  }

  private take({ lines, total }: OutputLines): void {
    for (const line of lines) {
      const at = blockOf(line.number);
      const block = this.blocks.get(at) ?? [];
      block[(line.number - 1) % BLOCK] = line;
      this.blocks.delete(at);
      this.blocks.set(at, block);
    }
    for (const at of this.blocks.keys()) {
      if (this.blocks.size <= MOST_BLOCKS) break;
      this.blocks.delete(at);
    }
    this.trouble.value = null;
    this.counted.value = total;
    this.changed.value += 1;
  }
}

function blockOf(number: number): number {
  return Math.floor((number - 1) / BLOCK);
}
