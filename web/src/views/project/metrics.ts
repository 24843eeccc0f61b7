import { type ReadonlySignal, signal } from "@preact/signals";

import type { Client } from "../../data/client.ts";
import { fieldsOf } from "../../data/fields.ts";
import { isAborted } from "../../data/problem.ts";

/** So many names of metrics a server gives at once. */
const NAMES = 1000;

/** The names of the metrics that the runs of a filter have. */
export class MetricNames {
  private readonly found = signal<readonly string[] | null>(null);
  private readonly isCut = signal(false);
  private readonly trouble = signal<unknown>(null);
  private ending: AbortController | null = null;
  private asked = "";

  /** Null while they are not known. */
  readonly names: ReadonlySignal<readonly string[] | null> = this.found;
  /** Whether there are more than the server gives at once. */
  readonly more: ReadonlySignal<boolean> = this.isCut;
  readonly error: ReadonlySignal<unknown> = this.trouble;

  constructor(
    private readonly client: Client,
    private readonly workspace: string,
    private readonly project: string,
  ) {}

  async ask(filter: string): Promise<void> {
    this.asked = filter;
    this.ending?.abort();
    const ending = new AbortController();
    this.ending = ending;
    try {
      const question = { workspace: this.workspace, project: this.project, filter, kinds: ["metric"] as const };
      const { fields, more } = await fieldsOf(this.client, { ...question, values: 0, limit: NAMES }, ending.signal);
      const names = fields.map((field) => field.name);
      if (JSON.stringify(names) !== JSON.stringify(this.found.value)) this.found.value = names;
      this.isCut.value = more;
      this.trouble.value = null;
    } catch (error) {
      if (!isAborted(error)) this.trouble.value = error;
    }
  }

  refresh(): void {
    void this.ask(this.asked);
  }

  end(): void {
    this.ending?.abort();
  }
}

/** Return the metric that a person most likely looks at first. Pure. */
export function mainMetric(names: readonly string[]): string | null {
  const ranked = names.filter((name) => !name.startsWith("system/"));
  const wanted = [/^val.*loss$/i, /^eval.*loss$/i, /^loss$/i, /loss$/i, /acc/i, /reward|return/i];
  for (const pattern of wanted) {
    const found = ranked.find((name) => pattern.test(name));
    if (found !== undefined) return found;
  }
  return ranked[0] ?? null;
}
