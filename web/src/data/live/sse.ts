/** One message of a stream of server-sent events. */
export interface ServerEvent {
  readonly event: string;
  readonly data: string;
  readonly id: string | null;
}

/** No message of a server is longer; what is longer is no stream of one. In characters. */
const LONGEST = 64 << 20;

/**
 * Takes a stream of server-sent events apart, whatever pieces it comes in.
 *
 * Only what the server sends is understood: `event`, `data`, `id`, and comments.
 */
export class EventParser {
  private left = "";

  /** Return the messages that end in this piece. Raises RangeError where one is too long. */
  push(piece: string): readonly ServerEvent[] {
    const parts = (this.left + piece).replaceAll("\r\n", "\n").split("\n\n");
    this.left = parts.pop() ?? "";
    if (this.left.length > LONGEST) throw new RangeError(`a live message has more than ${LONGEST} characters`);
    return parts.flatMap((part) => eventOf(part) ?? []);
  }
}

function eventOf(part: string): ServerEvent | null {
  let event = "message";
  let id: string | null = null;
  const data: string[] = [];
  for (const line of part.split("\n")) {
    const colon = line.indexOf(":");
    const name = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? "" : line.slice(colon + 1).replace(/^ /, "");
    if (name === "event") event = value;
    else if (name === "data") data.push(value);
    else if (name === "id") id = value;
  }
  return id === null && data.length === 0 ? null : { event, data: data.join("\n"), id };
}
