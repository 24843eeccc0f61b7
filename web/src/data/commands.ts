import type { Client } from "./client.ts";

/** An event that a person makes (docs/api.md, Commands). */
export type RunCommand =
  | { readonly type: "run_renamed.v1"; readonly name: string }
  | { readonly type: "run_notes_set.v1"; readonly notes: string }
  | { readonly type: "tags_added.v1"; readonly tags: readonly string[] }
  | { readonly type: "tags_removed.v1"; readonly tags: readonly string[] }
  | { readonly type: "run_archived.v1" }
  | { readonly type: "run_restored.v1" }
  | { readonly type: "run_deleted.v1" };

interface Appended {
  readonly position: string;
}

/**
 * Append commands about a run, together.
 *
 * Returns their position: a read that waits for it sees what they did. Raises Problem where one of them is refused.
 */
export async function command(client: Client, run: string, events: readonly RunCommand[]): Promise<string> {
  const commands = events.map((event) => ({ key: run, event }));
  const appended = await client.json<Appended>("/ingest/v1/commands", { body: { commands } });
  return appended.position;
}
