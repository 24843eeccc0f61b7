import { Problem, problemOf } from "./problem.ts";

/** How long a request may take, in milliseconds: a little more than the longest question of a server. */
const TIMEOUT_MS = 90_000;
const POSITION = "Runstream-Position";
export const ARROW = "application/vnd.apache.arrow.stream";

export type Query = Readonly<Record<string, string | number | boolean | null | undefined>>;

export interface Asked {
  readonly query?: Query;
  readonly body?: unknown;
  readonly method?: "GET" | "POST" | "PUT" | "DELETE";
  readonly signal?: AbortSignal | undefined;
  readonly accept?: string;
}

/**
 * Requests to the server that the page came from. Every request of the page goes through one of these.
 *
 * Raises Problem for whatever is no success, and AbortError if the caller's signal ended it.
 */
export class Client {
  /**
   * @param key the key that a person gave; null: none
   * @param onRefused called when the server asks for a key, or refuses the one that it got
   */
  constructor(
    private readonly key: () => string | null,
    private readonly onRefused: () => void,
    private readonly send: typeof fetch = (input, init) => fetch(input, init),
  ) {}

  async json<T>(path: string, asked: Asked = {}): Promise<T> {
    const response = await this.response(path, asked);
    return (await response.json()) as T;
  }

  /** The same, with the position up to which the answer has everything. */
  async jsonAt<T>(path: string, asked: Asked = {}): Promise<{ readonly value: T; readonly position: string | null }> {
    const response = await this.response(path, asked);
    return { value: (await response.json()) as T, position: response.headers.get(POSITION) };
  }

  async bytesAt(path: string, asked: Asked = {}): Promise<{ readonly value: ArrayBuffer; readonly position: string | null }> {
    const response = await this.response(path, asked);
    return { value: await response.arrayBuffer(), position: response.headers.get(POSITION) };
  }

  /** Return a success, its body still to be read. Streams are read for as long as their signal lets them. */
  async response(path: string, asked: Asked = {}, timeoutMs: number | null = TIMEOUT_MS): Promise<Response> {
    const signals = [asked.signal, timeoutMs === null ? null : AbortSignal.timeout(timeoutMs)];
    const key = this.key();
    const headers: Record<string, string> = { Accept: asked.accept ?? "application/json" };
    if (key !== null) headers["Authorization"] = `Bearer ${key}`;
    if (asked.body !== undefined) headers["Content-Type"] = "application/json";
    const init: RequestInit = {
      method: asked.method ?? (asked.body === undefined ? "GET" : "POST"),
      headers,
      body: asked.body === undefined ? null : JSON.stringify(asked.body),
      signal: AbortSignal.any(signals.filter((one) => one !== null && one !== undefined)),
      credentials: "omit",
    };
    let response: Response;
    try {
      response = await this.send(path + queryOf(asked.query), init);
    } catch (error) {
      throw unreachable(error, asked.signal);
    }
    if (response.ok) return response;
    if (response.status === 401) this.onRefused();
    throw await problemOf(response);
  }
}

function unreachable(error: unknown, signal: AbortSignal | undefined): unknown {
  if (signal?.aborted === true) return error;
  const timedOut = error instanceof DOMException && error.name === "TimeoutError";
  const what = timedOut
    ? `The server did not answer within ${TIMEOUT_MS / 1000} seconds.`
    : "The server cannot be reached. The page goes on by itself as soon as it can.";
  return new Problem(what, 0, timedOut ? "timeout" : "unreachable");
}

function queryOf(query: Query | undefined): string {
  const given = new URLSearchParams();
  for (const [name, value] of Object.entries(query ?? {})) {
    if (value !== null && value !== undefined && value !== "") given.set(name, String(value));
  }
  const text = given.toString();
  return text === "" ? "" : `?${text}`;
}

/** A part of a path, whatever characters it has. */
export function segment(text: string): string {
  return encodeURIComponent(text);
}
