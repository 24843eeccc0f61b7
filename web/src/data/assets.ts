import { type Client, segment } from "./client.ts";
import { runPath, type When } from "./details.ts";
import type { Logged } from "./types.ts";

/** A file of a run. */
export interface Asset {
  readonly run: string;
  readonly asset: string;
  readonly name: string;
  readonly kind: string;
  readonly sha256: string;
  readonly size_bytes: number;
  readonly content_type: string;
  readonly step: number | null;
  readonly metadata: Logged;
  readonly at: string;
  readonly context: string | null;
  readonly role: string | null;
  /** Where it is, if its bytes are not on the server. */
  readonly location: string | null;
  readonly model: string | null;
}

export async function assetsOf(client: Client, run: string, when: When, signal?: AbortSignal): Promise<readonly Asset[]> {
  const query = { as_of: when.asOf, wait_for: when.waitFor };
  const found = await client.json<{ readonly assets: readonly Asset[] }>(`${runPath(run)}/assets`, { query, signal });
  return found.assets;
}

export interface TextPart {
  readonly text: string;
  /** Whether the file goes on behind it. */
  readonly isCut: boolean;
}

/** Read the beginning of a file as text in UTF-8: at most so many bytes. */
export async function textOfAsset(client: Client, asset: Asset, limitBytes: number, signal?: AbortSignal): Promise<TextPart> {
  const path = `${runPath(asset.run)}/assets/${segment(asset.asset)}`;
  const response = await client.response(path, { accept: "*/*", signal });
  const reader = response.body?.getReader();
  const parts: Uint8Array[] = [];
  let size = 0;
  for (let read = await reader?.read(); read !== undefined && !read.done; read = await reader?.read()) {
    parts.push(read.value);
    size += read.value.length;
    if (size <= limitBytes) continue;
    await reader?.cancel();
    break;
  }
  const whole = new Uint8Array(await new Blob(parts as BlobPart[]).arrayBuffer());
  return { text: new TextDecoder().decode(whole.subarray(0, limitBytes)), isCut: size > limitBytes };
}
