import type { Client } from "./client.ts";
import type { Logged, Run, Runs } from "./types.ts";

/** Runs that are compared at once, at most. */
export const MOST_COMPARED = 50;

/** Read runs with all of their parameters, last values, other values and environment, in the order of `ids`; unknown ones are left out. */
export async function comparedRuns(
  client: Client,
  workspace: string,
  ids: readonly string[],
  asOf: string | null,
  signal?: AbortSignal,
): Promise<readonly Run[]> {
  const wanted = [...new Set(ids)].slice(0, MOST_COMPARED);
  if (wanted.length === 0) return [];
  const body = {
    workspace,
    // Archived ones are compared too, so the filter names both kinds.
    filter: `id in (${wanted.map((id) => JSON.stringify(id)).join(", ")}) and (archived or not archived)`,
    optional_columns: "param.*,metric.*,other.*,env.*",
    limit: MOST_COMPARED,
    ...(asOf === null ? {} : { as_of: asOf }),
  };
  const { runs } = await client.json<Runs>("/api/v1/runs/query", { body, signal });
  const byId = new Map(runs.map((run) => [run.run, run]));
  return wanted.flatMap((id) => byId.get(id) ?? []);
}

/** What is compared, in sections. */
export type SectionName = "run" | "parameters" | "metrics" | "values" | "environment" | "packages";

export interface CompareRow {
  readonly section: SectionName;
  readonly name: string;
  /** A value for each run; undefined: it has none. */
  readonly values: readonly (Logged | undefined)[];
  /** Whether not all runs have the same. */
  readonly differs: boolean;
}

const OWN: readonly (keyof Run)[] = ["status", "user", "host", "experiment", "group", "job_type", "tags", "created_at", "started_at", "ended_at", "duration_s", "message", "notes"];
const PREFIXES: readonly (readonly [string, SectionName])[] = [
  ["param.", "parameters"],
  ["metric.", "metrics"],
  ["other.", "values"],
  ["env.packages.", "packages"],
  ["env.", "environment"],
];
export const SECTIONS: readonly SectionName[] = ["run", "parameters", "metrics", "values", "environment", "packages"];
const NAMES = new Intl.Collator("en", { numeric: true });

/** Put the values of runs side by side, by section and name. Pure. */
export function compared(runs: readonly Run[]): readonly CompareRow[] {
  const rows: CompareRow[] = OWN.map((name) => rowOf("run", name, runs.map((run) => own(run[name]))));
  const fields = new Set(runs.flatMap((run) => Object.keys(run.columns)));
  for (const field of fields) {
    const [prefix, section] = PREFIXES.find(([one]) => field.startsWith(one)) ?? [];
    if (prefix === undefined || section === undefined) continue;
    rows.push(rowOf(section, unquoted(field.slice(prefix.length)), runs.map((run) => (Object.hasOwn(run.columns, field) ? run.columns[field] : undefined))));
  }
  const place = (row: CompareRow) => SECTIONS.indexOf(row.section);
  return rows.sort((a, b) => place(a) - place(b) || (a.section === "run" ? 0 : NAMES.compare(a.name, b.name)));
}

function rowOf(section: SectionName, name: string, values: readonly (Logged | undefined)[]): CompareRow {
  const texts = new Set(values.map(textOf));
  return { section, name, values, differs: texts.size > 1 };
}

/** Equal values have equal texts; what is missing equals nothing that is there. */
export function textOf(value: Logged | undefined): string {
  return value === undefined ? "" : JSON.stringify(value);
}

function own(value: Run[keyof Run]): Logged | undefined {
  return value === null || value === "" ? undefined : (value as Logged);
}

/** The name in a field: names with odd characters are quoted there. */
export function unquoted(name: string): string {
  if (!name.startsWith('"')) return name;
  try {
    return String(JSON.parse(name));
  } catch {
    return name;
  }
}
