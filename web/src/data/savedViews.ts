import { type Client, segment } from "./client.ts";

/** A view of a project that somebody saved under a name (docs/api.md, "Saved views"). */
export interface SavedView {
  readonly workspace: string;
  readonly project: string;
  readonly name: string;
  readonly revision: number;
  readonly author: string | null;
  readonly changed_by: string | null;
  readonly updated_at: string;
}

interface Shown extends SavedView {
  readonly view: { readonly query?: unknown };
}

/** A project has no more views than a person can choose from. */
const MOST = 1000;

export async function savedViews(client: Client, workspace: string, project: string, signal?: AbortSignal): Promise<readonly SavedView[]> {
  const query = { workspace, project, type: TYPE, limit: MOST };
  return (await client.json<{ readonly views: readonly SavedView[] }>("/api/v1/views", { query, signal })).views;
}

/** Return the query string that a view keeps. */
export async function queryOfView(client: Client, view: SavedView): Promise<string> {
  const { view: content } = await client.json<Shown>(addressOf(view.workspace, view.project, view.name));
  return typeof content.query === "string" ? content.query : "";
}

/** Save a query string under a name: a new one, or in place of a view as it was read. Raises Problem (409) if somebody was faster. */
export async function saveView(
  client: Client,
  workspace: string,
  project: string,
  name: string,
  query: string,
  replaces: SavedView | null,
): Promise<void> {
  const body = { view: { query }, type: TYPE, ...(replaces === null ? {} : { revision: replaces.revision }) };
  await client.json(addressOf(workspace, project, name), { method: "PUT", body });
}

export async function deleteView(client: Client, view: SavedView): Promise<void> {
  const body = { revision: view.revision };
  await client.response(addressOf(view.workspace, view.project, view.name), { method: "DELETE", body });
}

/** The kind of saved views that this page keeps. */
const TYPE = "view";

function addressOf(workspace: string, project: string, name: string): string {
  return `/api/v1/views/${segment(workspace)}/${segment(project)}/${segment(name)}`;
}
