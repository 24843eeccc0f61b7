/** Responses of the REST API, as far as the page reads them (docs/api.md, /api/v1/openapi.json). */

/** A number in JSON, where NaN and the infinities are texts. */
export type JsonNumber = number | "NaN" | "Infinity" | "-Infinity";
/** What a parameter, a metric's summary or another logged value is. */
export type Logged = JsonNumber | string | boolean | null | readonly Logged[] | { readonly [name: string]: Logged };

export type RunStatus = "running" | "finished" | "failed" | "crashed" | "killed";

export interface Run {
  readonly run: string;
  readonly workspace: string;
  readonly project: string;
  readonly experiment: string;
  readonly name: string;
  readonly status: RunStatus;
  readonly message: string;
  readonly user: string;
  readonly host: string;
  readonly notes: string;
  readonly tags: readonly string[];
  readonly created_at: string;
  readonly started_at: string;
  readonly ended_at: string | null;
  readonly updated_at: string;
  readonly duration_s: number;
  readonly archived: boolean;
  readonly deleted: boolean;
  readonly points_dropped: number;
  readonly group: string;
  readonly job_type: string;
  readonly columns: Readonly<Record<string, Logged>>;
}

export interface Runs {
  readonly runs: readonly Run[];
  readonly next_cursor: string | null;
  readonly total: number | null;
  readonly unknown: readonly string[];
}

export interface Field {
  readonly field: string;
  readonly kind: "run" | "metric" | "param" | "other" | "env";
  readonly name: string;
  readonly runs: number;
  readonly distinct: number | null;
  readonly numbers: number | null;
  readonly points: number | null;
  readonly min: JsonNumber | null;
  readonly max: JsonNumber | null;
  readonly values: readonly { readonly value: Logged; readonly runs: number }[];
}

export interface Fields {
  readonly fields: readonly Field[];
  readonly more: boolean;
}

export interface Project {
  readonly workspace: string;
  readonly project: string;
  readonly description: string;
  readonly notes: string;
  readonly runs: number;
  readonly created_at: string | null;
  readonly updated_at: string | null;
}

export interface Writer {
  readonly writer: string;
  readonly ended: boolean;
  readonly last_seen_at: string | null;
  readonly clock_ahead_s: number | null;
  readonly rank: number | null;
}

export interface RunDetail {
  readonly run: Run;
  readonly clock_ahead_s: number | null;
  readonly writers: readonly Writer[];
  readonly metrics: number;
  readonly parameters: number;
  readonly assets: number;
  readonly last_step: number | null;
}

export interface Summary {
  readonly run: string;
  readonly metric: string;
  readonly count: number;
  readonly nan_count: number;
  readonly minimum: JsonNumber;
  readonly minimum_step: number;
  readonly minimum_at: string;
  readonly maximum: JsonNumber;
  readonly maximum_step: number;
  readonly maximum_at: string;
  readonly first: JsonNumber;
  readonly first_step: number;
  readonly last: JsonNumber;
  readonly last_step: number;
  readonly last_at: string;
  readonly total: JsonNumber;
  readonly std: JsonNumber | null;
}

export interface LoggedValue {
  readonly name: string;
  readonly value: Logged;
  readonly at: string;
}

export interface Key {
  readonly name: string | null;
  readonly may_write: boolean;
}
