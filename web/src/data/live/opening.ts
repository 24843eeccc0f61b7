import type { OpenStream } from "./hub.ts";

/** Open POST /api/v1/live: EventSource cannot send a key, so the stream is a fetch. */
export const openStream: OpenStream = async (body, key, signal) => {
  const response = await fetch("/api/v1/live", {
    method: "POST",
    headers: {
      "Content-Type": "application/json",
      Accept: "text/event-stream",
      ...(key === null ? {} : { Authorization: `Bearer ${key}` }),
    },
    body: JSON.stringify(body),
    signal,
    credentials: "omit",
    cache: "no-store",
  });
  if (!response.ok || response.body === null) throw new Error(await reasonOf(response));
  return response.body.pipeThrough(new TextDecoderStream());
};

async function reasonOf(response: Response): Promise<string> {
  const problem = (await response.json().catch(() => null)) as { readonly detail?: unknown } | null;
  return typeof problem?.detail === "string" ? problem.detail : `status ${response.status}`;
}
