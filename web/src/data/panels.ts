import { type Client, segment } from "./client.ts";

/** Panels of a project, and frames that show them (docs/panels.md, "On the server"). */
export interface Panel {
  readonly name: string;
  readonly description: string;
  readonly version: string;
  readonly versions: number;
  readonly updated_at: string;
}

export interface PanelCode {
  readonly name: string;
  readonly version: string;
  readonly comment: string;
  readonly source: string;
  readonly versions: readonly { readonly version: string; readonly comment: string; readonly created_at: string }[];
}

export interface PanelContext {
  readonly filter: string;
  readonly theme: "light" | "dark";
  readonly width: number;
  readonly height: number;
  readonly experiment_colors: Readonly<Record<string, string>>;
}

/** A view of a panel. `address` holds a token: whoever has it sees the panel. */
export interface Frame {
  readonly frame: string;
  readonly address: string;
  readonly sandbox: string;
  readonly state: "starting" | "running" | "failed" | "ended";
  readonly detail: string;
}

export interface PanelServer {
  readonly enabled: boolean;
  readonly reason: string;
}

interface Place {
  readonly workspace: string;
  readonly project: string;
}

export async function panelsOf(client: Client, place: Place, signal: AbortSignal): Promise<readonly Panel[]> {
  const found = await client.json<{ readonly panels: readonly Panel[] }>("/api/v1/panels", {
    query: { ...place, limit: 1000 },
    signal,
  });
  return found.panels;
}

export async function panelServer(client: Client, signal: AbortSignal): Promise<PanelServer> {
  return client.json<PanelServer>("/api/v1/panels/server", { signal });
}

export async function codeOf(client: Client, place: Place, name: string, version: string, signal?: AbortSignal): Promise<PanelCode> {
  return client.json<PanelCode>(kept(place, name), { query: { version }, signal });
}

/** Keep a new version of a panel, and the panel if there is none of the name. */
export async function keepCode(client: Client, place: Place, name: string, source: string, comment: string): Promise<void> {
  await client.json(kept(place, name), { body: { source, comment } });
}

export async function openFrame(
  client: Client,
  place: Place,
  panel: string,
  version: string,
  context: PanelContext,
  signal: AbortSignal,
): Promise<Frame> {
  const body = { ...place, panel, context, ...(version === "" ? {} : { version }) };
  return client.json<Frame>("/api/v1/panels/frames", { body, signal });
}

export async function openPreview(
  client: Client,
  place: Place,
  source: string,
  context: PanelContext,
  signal: AbortSignal,
): Promise<Frame> {
  return client.json<Frame>("/api/v1/panels/previews", { body: { ...place, source, context }, signal });
}

export async function frameOf(client: Client, frame: string, signal: AbortSignal): Promise<Frame> {
  return client.json<Frame>(`/api/v1/panels/frames/${segment(frame)}`, { signal });
}

export async function closeFrame(client: Client, frame: string): Promise<void> {
  await client.response(`/api/v1/panels/frames/${segment(frame)}`, { method: "DELETE" });
}

function kept({ workspace, project }: Place, name: string): string {
  return `/api/v1/panels/kept/${segment(workspace)}/${segment(project)}/${segment(name)}`;
}
