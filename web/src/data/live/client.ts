import { type ReadonlySignal, signal } from "@preact/signals";

import type { Run, Summary } from "../types.ts";
import { Hub, TAB_SAYS_MS } from "./hub.ts";
import { type FromHub, type LiveState, NEVER_OPEN, NOTHING, type Tail, type ToHub, type Wants, type WatchedTail } from "./messages.ts";
import { openStream } from "./opening.ts";
import { earlier } from "./positions.ts";
import { EventParser } from "./sse.ts";

/** What a part of the page wants to hear of, and what it does then. */
export interface Interest {
  readonly workspace?: string;
  readonly project?: string;
  readonly runs?: "all" | readonly string[];
  readonly metrics?: readonly string[];
  readonly tails?: readonly WatchedTail[];
  /** The position that what is shown was read at. */
  readonly since?: string | null;
  readonly onRuns?: (runs: readonly Run[]) => void;
  readonly onSummaries?: (summaries: readonly Summary[]) => void;
  readonly onTails?: (tails: readonly Tail[]) => void;
  /** The tab was hidden and heard nothing: read again what is shown. */
  readonly onMissed?: () => void;
}

/**
 * What changes on the server, for all parts of a tab.
 *
 * All tabs of a browser share one stream by a SharedWorker; where there is none, the tab has its own. A hidden tab rests: it
 * wants nothing, and asks for everything behind the last position when it is seen again.
 */
export class Live {
  private readonly told = signal<LiveState>(NEVER_OPEN);
  readonly state: ReadonlySignal<LiveState> = this.told;
  private readonly interests = new Set<Interest>();
  private readonly post: (message: ToHub) => void;
  private isAnnounced = false;

  constructor(
    private readonly key: () => string | null,
    private readonly document: Document,
    port: MessagePort | null,
  ) {
    this.post = connect(port, (message) => this.take(message));
    document.addEventListener("visibilitychange", () => {
      if (!document.hidden) for (const interest of [...this.interests]) interest.onMissed?.();
      this.announce();
    });
    addEventListener("pagehide", () => this.post({ kind: "leave" }));
    addEventListener("pageshow", () => this.announce());
    setInterval(() => {
      if (!document.hidden) this.announce();
    }, TAB_SAYS_MS);
  }

  /** Hear of something until the returned function is called. */
  follow(interest: Interest): () => void {
    this.interests.add(interest);
    this.announce();
    return () => {
      this.interests.delete(interest);
      this.announce();
    };
  }

  /** Say what is wanted, once for all that changes in one go. */
  private announce(): void {
    if (this.isAnnounced) return;
    this.isAnnounced = true;
    queueMicrotask(() => {
      this.isAnnounced = false;
      const wants = this.document.hidden ? NOTHING : wantsOf([...this.interests]);
      this.post({ kind: "want", wants, key: this.key() });
    });
  }

  private take(message: FromHub): void {
    if (message.kind === "state") this.told.value = message.state;
    for (const interest of [...this.interests]) {
      if (message.kind === "runs") interest.onRuns?.(message.runs);
      else if (message.kind === "summaries") interest.onSummaries?.(message.summaries);
      else if (message.kind === "tails") interest.onTails?.(message.tails);
    }
  }
}

/** Return what all interests of a tab want together. Pure. */
export function wantsOf(interests: readonly Interest[]): Wants {
  const [first] = interests.filter((one) => one.project !== undefined);
  const isOne = interests.every(
    (one) => one.project === undefined || (one.project === first?.project && one.workspace === first?.workspace),
  );
  return {
    workspace: isOne ? (first?.workspace ?? null) : null,
    project: isOne ? (first?.project ?? null) : null,
    runs: interests.some((one) => one.runs === "all") ? "all" : interests.flatMap((one) => (one.runs === "all" ? [] : (one.runs ?? []))),
    metrics: [...new Set(interests.flatMap((one) => one.metrics ?? []))],
    tails: interests.flatMap((one) => one.tails ?? []),
    since: interests.map((one) => one.since ?? null).reduce(earlier, null),
  };
}

function connect(port: MessagePort | null, take: (message: FromHub) => void): (message: ToHub) => void {
  if (port !== null) {
    port.onmessage = (event: MessageEvent<FromHub>) => take(event.data);
    return (message) => port.postMessage(message);
  }
  const hub = new Hub(openStream, () => new EventParser());
  const own = { postMessage: take };
  return (message) => hub.receive(own, message);
}
