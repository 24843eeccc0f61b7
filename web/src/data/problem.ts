/** What went wrong with a request, as a person should read it. */
export class Problem extends Error {
  override readonly name = "Problem";

  /**
   * @param status the HTTP status; 0: no response came
   * @param type the last part of the problem's type: "invalid-filter", "query-busy", ...
   * @param about the parameter that is wrong, if one is
   * @param column where in a filter it is wrong, counted from 1
   * @param retryAfterS when to ask again, in seconds
   */
  constructor(
    message: string,
    readonly status: number,
    readonly type: string,
    readonly about: string | null = null,
    readonly column: number | null = null,
    readonly retryAfterS: number | null = null,
  ) {
    super(message);
  }

  /** Whether the same request may succeed a little later. */
  get passes(): boolean {
    return this.status === 0 || this.status === 429 || this.status >= 500;
  }
}

interface ProblemBody {
  readonly type?: unknown;
  readonly title?: unknown;
  readonly detail?: unknown;
  readonly name?: unknown;
  readonly column?: unknown;
}

/** Read the problem that a response with a status above 399 holds. */
export async function problemOf(response: Response): Promise<Problem> {
  const text = await response.text().catch(() => "");
  const retry = Number(response.headers.get("Retry-After") ?? Number.NaN);
  const retryAfterS = Number.isFinite(retry) ? retry : null;
  const body = bodyOf(text);
  if (body === null) {
    const what = `The server answered with status ${response.status} and no reason.`;
    return new Problem(what, response.status, "unknown", null, null, retryAfterS);
  }
  return new Problem(
    textOf(body.detail) ?? textOf(body.title) ?? `status ${response.status}`,
    response.status,
    (textOf(body.type) ?? "unknown").split(":").at(-1) ?? "unknown",
    textOf(body.name),
    typeof body.column === "number" ? body.column : null,
    retryAfterS,
  );
}

function bodyOf(text: string): ProblemBody | null {
  try {
    const body: unknown = JSON.parse(text);
    return typeof body === "object" && body !== null ? body : null;
  } catch {
    return null;
  }
}

function textOf(value: unknown): string | null {
  return typeof value === "string" ? value : null;
}

/** Whether an error only says that nobody waits for the response any more. */
export function isAborted(error: unknown): boolean {
  return error instanceof DOMException && error.name === "AbortError";
}

/** What a person reads of any error. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
