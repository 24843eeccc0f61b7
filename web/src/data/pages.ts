import { batch, type ReadonlySignal, signal } from "@preact/signals";

import { isAborted } from "./problem.ts";

export interface Page<Row> {
  readonly rows: readonly Row[];
  /** What gives the next page; null: this is the last one. */
  readonly next: string | null;
}

/** A list that only grows, read page after page as far as somebody looks. */
export class Pages<Row> {
  private readonly found = signal<readonly Row[]>([]);
  private readonly whole = signal(false);
  private readonly trouble = signal<unknown>(null);
  private readonly ending = new AbortController();
  /** Gives the newest page that was read; null: the first one. */
  private cursor: string | null = null;
  private next: string | null = null;
  private before = 0;
  private isLoading = false;
  private wanted = 1;

  readonly rows: ReadonlySignal<readonly Row[]> = this.found;
  /** Whether all pages are read that there were at the last request. */
  readonly isWhole: ReadonlySignal<boolean> = this.whole;
  readonly error: ReadonlySignal<unknown> = this.trouble;

  constructor(private readonly load: (cursor: string | null, signal: AbortSignal) => Promise<Page<Row>>) {}

  /** Have the first `count` rows, as far as there are so many. */
  need(count: number): void {
    this.wanted = Math.max(this.wanted, count);
    void this.more();
  }

  /** Look whether there are more rows than before. */
  grow(): void {
    this.whole.value = false;
    void this.more();
  }

  end(): void {
    this.ending.abort();
  }

  private async more(): Promise<void> {
    if (this.isLoading) return;
    this.isLoading = true;
    try {
      while (!this.whole.value && (this.found.value.length < this.wanted || this.next === null)) {
        await this.page();
      }
    } catch (error) {
      if (!isAborted(error)) this.trouble.value = error;
    } finally {
      this.isLoading = false;
    }
  }

  /** Read the page behind the newest one; where there was none, the newest one again, which may have grown. */
  private async page(): Promise<void> {
    const isNext = this.next !== null;
    const cursor = isNext ? this.next : this.cursor;
    const { rows, next } = await this.load(cursor, this.ending.signal);
    batch(() => {
      if (isNext) this.before = this.found.value.length;
      this.found.value = [...this.found.value.slice(0, this.before), ...rows];
      this.cursor = cursor;
      this.next = next;
      this.whole.value = next === null;
      this.trouble.value = null;
    });
  }
}
