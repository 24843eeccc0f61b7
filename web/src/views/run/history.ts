import type { HistoryEvent } from "../../data/details.ts";

type Fields = Readonly<Record<string, unknown>>;

/** What an event says, in one line. */
export function describe({ type, event }: HistoryEvent): string {
  const name = type.replace(/\.v\d+$/, "");
  const make = Object.hasOwn(TEXTS, name) ? TEXTS[name] : undefined;
  return make === undefined ? name.replaceAll("_", " ") : make(event);
}

const TEXTS: Readonly<Record<string, (event: Fields) => string>> = {
  run_started: (event) => (event["resumed"] === true ? `resumed${rank(event)}${from(event)}` : `started${rank(event)}`),
  run_finished: (event) => `ended: ${text(event["status"]) || "finished"}${behind(event["message"])}`,
  writer_lost: (event) => `writer lost${behind(event["reason"])}`,
  run_status_changed: (event) => `status set to ${text(event["status"])}${behind(event["message"])}`,
  run_times_set: () => "times set",
  parameters_logged: (event) => counted(event["values"], "parameter", "logged"),
  parameters_deleted: (event) => counted(event["names"], "parameter", "deleted"),
  others_logged: (event) => counted(event["values"], "value", "logged"),
  environment_captured: (event) => `environment captured: ${text(event["section"])}`,
  tags_added: (event) => `tags added: ${list(event["tags"])}`,
  tags_removed: (event) => `tags removed: ${list(event["tags"])}`,
  asset_logged: (event) => `file logged: ${text(event["name"])}${step(event["step"])}`,
  asset_deleted: (event) => `file deleted: ${text(event["asset_id"])}`,
  output_appended: (event) => `output: ${text(event["text"]).trimEnd()}`,
  points_dropped: (event) => `${text(event["count"])} points dropped${behind(event["reason"])}`,
  run_renamed: (event) => `renamed to ${text(event["name"])}`,
  run_moved: (event) => `moved to ${text(event["workspace"])}/${text(event["project"])}`,
  run_linked: (event) => `linked to ${text(event["workspace"])}/${text(event["project"])}`,
  run_unlinked: (event) => `link to ${text(event["workspace"])}/${text(event["project"])} taken away`,
  run_notes_set: () => "notes written",
  run_archived: () => "archived",
  run_restored: () => "restored",
  run_deleted: () => "deleted",
};

function text(value: unknown): string {
  return value === undefined || value === null ? "" : String(value);
}

function behind(value: unknown): string {
  const [first = ""] = text(value).split("\n");
  return first === "" ? "" : `: ${first}`;
}

function rank(event: Fields): string {
  return event["rank"] === undefined || event["rank"] === null ? "" : ` (rank ${text(event["rank"])})`;
}

function from(event: Fields): string {
  const at = text(event["resumed_at_step"]);
  return at === "" ? "" : ` from step ${at}`;
}

function step(value: unknown): string {
  return value === undefined || value === null ? "" : ` at step ${text(value)}`;
}

function list(value: unknown): string {
  return Array.isArray(value) ? value.map(text).join(", ") : "";
}

function counted(value: unknown, thing: string, done: string): string {
  const names = Array.isArray(value) ? value.map(text) : Object.keys((value ?? {}) as object);
  const shown = names.slice(0, 5).join(", ") + (names.length > 5 ? ", ..." : "");
  return `${names.length} ${names.length === 1 ? thing : `${thing}s`} ${done}: ${shown}`;
}
