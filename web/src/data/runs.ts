import { batch, type ReadonlySignal, signal } from "@preact/signals";

import type { Client } from "./client.ts";
import { isAborted, Problem } from "./problem.ts";
import type { Run, Runs } from "./types.ts";

/** Which runs a list has, in which order, and the values that come with each. */
export interface RunQuestion {
  readonly workspace: string;
  readonly project: string;
  readonly filter: string;
  readonly sort: string;
  /** Fields of the filter language, or globs of them. */
  readonly columns: readonly string[];
  /** A position or a time; null: now. */
  readonly asOf: string | null;
}

/** Rows a request: a table shows forty, and the charts beside it the first hundred. */
const PAGE = 200;
/** What a server gives at most in a page. */
const LARGEST_PAGE = 1000;
/** What passes is tried again after so many seconds, if the server does not say when. */
const RETRY_S = 2;

/**
 * The runs of a question, page after page as far as somebody looks.
 *
 * Rows stay shown while the next answer is on its way, so that nothing flickers.
 */
export class RunList {
  private readonly loadedRows = signal<readonly Run[]>([]);
  private readonly counted = signal<number | null>(null);
  private readonly trouble = signal<unknown>(null);
  private readonly told = signal<readonly string[]>([]);
  private readonly loading = signal(false);
  private readonly readAt = signal<string | null>(null);
  private question: RunQuestion | null = null;
  private cursor: string | null = null;
  private isWhole = false;
  private wanted = 0;
  private ending: AbortController | null = null;
  private retrying: ReturnType<typeof setTimeout> | null = null;

  /** The rows that are known, in order, from the first on. */
  readonly rows: ReadonlySignal<readonly Run[]> = this.loadedRows;
  /** How many runs there are; null while it is not known. */
  readonly total: ReadonlySignal<number | null> = this.counted;
  /** Why the last request failed: a Problem, or another error; null if it did not. */
  readonly error: ReadonlySignal<unknown> = this.trouble;
  /** What the question names and no run has, one sentence each. */
  readonly unknown: ReadonlySignal<readonly string[]> = this.told;
  readonly isLoading: ReadonlySignal<boolean> = this.loading;
  /** The position at which the first page was read. */
  readonly position: ReadonlySignal<string | null> = this.readAt;

  constructor(private readonly client: Client) {}

  /** Ask another question, from its first page on. */
  ask(question: RunQuestion): void {
    this.question = question;
    this.wanted = PAGE;
    void this.restart(PAGE);
  }

  /** Ask the same again, because something changed: as many rows as there are now, up to a page of the server's. */
  refresh(): void {
    if (this.question === null) return;
    void this.restart(Math.min(LARGEST_PAGE, Math.max(PAGE, this.loadedRows.value.length)));
  }

  /** Have the first `count` rows, as far as there are so many. */
  need(count: number): void {
    this.wanted = Math.max(this.wanted, count);
    if (!this.loading.value && this.trouble.value === null) void this.more();
  }

  /** Replace the rows of runs that changed. Returns the ids of those that the list does not have. */
  update(changed: readonly Run[]): readonly string[] {
    const byId = new Map(changed.map((run) => [run.run, run]));
    let isChanged = false;
    const rows = this.loadedRows.value.map((row) => {
      const now = byId.get(row.run);
      if (now === undefined) return row;
      byId.delete(row.run);
      isChanged = true;
      return { ...now, columns: row.columns };
    });
    if (isChanged) this.loadedRows.value = rows;
    return [...byId.keys()];
  }

  /** Replace values of columns, run by run. */
  updateColumns(changed: ReadonlyMap<string, Run["columns"]>): void {
    const rows = this.loadedRows.value;
    if (!rows.some((row) => changed.has(row.run))) return;
    this.loadedRows.value = rows.map((row) => {
      const columns = changed.get(row.run);
      return columns === undefined ? row : { ...row, columns: { ...row.columns, ...columns } };
    });
  }

  end(): void {
    this.ending?.abort();
    if (this.retrying !== null) clearTimeout(this.retrying);
  }

  /** Ask again by itself, because what went wrong passes. */
  private later(seconds: number): void {
    if (this.retrying !== null) clearTimeout(this.retrying);
    this.retrying = setTimeout(() => {
      this.retrying = null;
      this.refresh();
    }, seconds * 1000);
  }

  private async restart(limit: number): Promise<void> {
    this.ending?.abort();
    await this.page(null, limit);
    await this.more();
  }

  private async more(): Promise<void> {
    while (!this.isWhole && this.trouble.value === null && this.loadedRows.value.length < this.wanted) {
      const missing = this.wanted - this.loadedRows.value.length;
      const was = this.cursor;
      if (was === null || !(await this.page(was, Math.min(LARGEST_PAGE, Math.max(PAGE, missing))))) return;
    }
  }

  /** Returns whether the page came and still counts. */
  private async page(cursor: string | null, limit: number): Promise<boolean> {
    const question = this.question;
    if (question === null) return false;
    const ending = new AbortController();
    this.ending = ending;
    this.loading.value = true;
    try {
      const body = { ...bodyOf(question), limit, cursor, count: cursor === null };
      const { value, position } = await this.client.jsonAt<Runs>("/api/v1/runs/query", { body, signal: ending.signal });
      if (ending.signal.aborted) return false;
      batch(() => {
        this.take(value, cursor);
        if (cursor === null) this.readAt.value = position;
      });
      return true;
    } catch (error) {
      if (isAborted(error) || ending.signal.aborted) return false;
      this.trouble.value = error;
      if (error instanceof Problem && error.passes) this.later(error.retryAfterS ?? RETRY_S);
      return false;
    } finally {
      if (this.ending === ending) this.loading.value = false;
    }
  }

  private take(answer: Runs, cursor: string | null): void {
    this.loadedRows.value = cursor === null ? answer.runs : [...this.loadedRows.value, ...answer.runs];
    if (cursor === null) {
      this.counted.value = answer.total;
      this.told.value = answer.unknown;
    }
    this.cursor = answer.next_cursor;
    this.isWhole = answer.next_cursor === null;
    this.trouble.value = null;
  }
}

function bodyOf(question: RunQuestion): object {
  return {
    workspace: question.workspace,
    project: question.project,
    filter: question.filter,
    sort: question.sort,
    // A column that no run has is no mistake of the table's: it is perhaps logged later.
    optional_columns: question.columns.join(","),
    ...(question.asOf === null ? {} : { as_of: question.asOf }),
  };
}
