import type { Client } from "../../data/client.ts";
import { fieldsOf } from "../../data/fields.ts";

/** So many names of metrics a server gives at once. */
const NAMES = 1000;

/** Ask for the names of the metrics that the runs of a filter have. */
export async function metricNames(
  client: Client,
  workspace: string,
  project: string,
  filter: string,
  signal: AbortSignal,
): Promise<readonly string[]> {
  const question = { workspace, project, filter, kinds: ["metric"], values: 0, limit: NAMES } as const;
  return (await fieldsOf(client, question, signal)).fields.map((field) => field.name);
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
