import { problemOf } from "../problem.ts";
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
  if (!response.ok || response.body === null) throw await problemOf(response);
  return response.body.pipeThrough(new TextDecoderStream());
};
