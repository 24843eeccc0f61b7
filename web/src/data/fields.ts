import type { Client } from "./client.ts";
import type { Field, Fields } from "./types.ts";

export type FieldKind = Field["kind"];

/** Where names are looked for. */
export interface FieldQuestion {
  readonly workspace: string;
  readonly project: string;
  readonly filter?: string;
  readonly kinds?: readonly FieldKind[];
  readonly prefix?: string;
  readonly values?: number;
  readonly limit?: number;
}

/** Ask which fields the runs of a project have. */
export async function fieldsOf(client: Client, question: FieldQuestion, signal?: AbortSignal): Promise<Fields> {
  return client.json<Fields>("/api/v1/runs/fields", { body: question, signal });
}
