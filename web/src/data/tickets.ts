import type { Client } from "./client.ts";

/** A file of a run, or of a version of an artifact. */
export type FileRef =
  | { readonly run: string; readonly asset: string }
  | { readonly artifact: string; readonly ordinal: number; readonly name: string };

interface Ticket {
  readonly address: string;
}

interface Tickets {
  readonly assets: readonly (Ticket | null)[];
  readonly files: readonly (Ticket | null)[];
}

/** Addresses open for five minutes or more, so one is used for less, in milliseconds. */
const USED_MS = 240_000;
/** What the server takes in a request. */
const MOST_ASSETS = 1000;
const MOST_FILES = 50;
/** Addresses that are remembered. */
const MOST_KEPT = 10_000;

interface Waiting {
  readonly file: FileRef;
  readonly give: (address: string | null) => void;
  readonly fail: (error: unknown) => void;
}

/**
 * Addresses that open a file without a key, for elements to which a browser sends none (docs/api.md, Tickets).
 *
 * What is wanted in the same moment goes in one request.
 */
export class FileAddresses {
  private readonly kept = new Map<string, { readonly address: Promise<string | null>; readonly untilMs: number }>();
  private waiting: Waiting[] = [];

  constructor(
    private readonly client: Client,
    private readonly nowMs: () => number = () => performance.now(),
  ) {}

  /** Return the address of a file; null: there is no such file, or its bytes are elsewhere. */
  of(file: FileRef): Promise<string | null> {
    const key = JSON.stringify(file);
    const known = this.kept.get(key);
    if (known !== undefined && known.untilMs > this.nowMs()) return known.address;
    if (this.kept.size >= MOST_KEPT) this.kept.clear();
    const address = new Promise<string | null>((give, fail) => this.wait({ file, give, fail }));
    this.kept.set(key, { address, untilMs: this.nowMs() + USED_MS });
    address.catch(() => this.kept.delete(key));
    return address;
  }

  /** Forget an address, because it does not open any more. */
  forget(file: FileRef): void {
    this.kept.delete(JSON.stringify(file));
  }

  private wait(one: Waiting): void {
    this.waiting.push(one);
    if (this.waiting.length === 1) setTimeout(() => this.send(), 0);
  }

  private send(): void {
    const waiting = this.waiting;
    this.waiting = [];
    const assets = waiting.filter(({ file }) => "asset" in file);
    const files = waiting.filter(({ file }) => !("asset" in file));
    for (let at = 0; at < assets.length; at += MOST_ASSETS) void this.request("assets", assets.slice(at, at + MOST_ASSETS));
    for (let at = 0; at < files.length; at += MOST_FILES) void this.request("files", files.slice(at, at + MOST_FILES));
  }

  private async request(kind: "assets" | "files", waiting: readonly Waiting[]): Promise<void> {
    try {
      const body = { [kind]: waiting.map(({ file }) => file) };
      const found = await this.client.json<Tickets>("/api/v1/tickets", { body });
      waiting.forEach(({ give }, at) => give(found[kind][at]?.address ?? null));
    } catch (error) {
      for (const { fail } of waiting) fail(error);
    }
  }
}

const OF_CLIENTS = new WeakMap<Client, FileAddresses>();

/** The addresses that a client knows: one set for all views. */
export function addressesOf(client: Client): FileAddresses {
  const known = OF_CLIENTS.get(client) ?? new FileAddresses(client);
  OF_CLIENTS.set(client, known);
  return known;
}
