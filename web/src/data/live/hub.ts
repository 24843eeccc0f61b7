import type { Run, Summary } from "../types.ts";
import { type FromHub, type LiveState, NEVER_OPEN, type Tail, type ToHub, type Wants, type WatchedTail } from "./messages.ts";
import { earlier } from "./positions.ts";
import type { EventParser, ServerEvent } from "./sse.ts";

/** A tab, as the hub sees it. */
export interface Port {
  postMessage(message: FromHub): void;
}

/** Opens a stream of changes. Raises what fetching raises; ends when the signal does. */
export type OpenStream = (body: object, key: string | null, signal: AbortSignal) => Promise<ReadableStream<string>>;

interface Tab {
  readonly wants: Wants;
  readonly key: string | null;
  /** Where the stream has to begin, because the tab has read up to there and wants something new; null: nowhere else. */
  readonly behind: string | null;
  /** When it was heard of last, in milliseconds. A tab that crashed does not leave. */
  readonly heardMs: number;
}

/** Changes of wants that come together make one new stream, in milliseconds. */
const GATHER_MS = 60;
/** The first wait before a stream is opened again, and the longest, in milliseconds. */
const FIRST_WAIT_MS = 300;
const LONGEST_WAIT_MS = 10_000;
/** A server says something every ten seconds. A stream that is silent for longer is dead, in milliseconds. */
const SILENCE_MS = 25_000;
/** Tabs say every TAB_SAYS_MS that they are there; one that does not for TAB_GONE_MS is gone. In milliseconds. */
export const TAB_SAYS_MS = 20_000;
const TAB_GONE_MS = 75_000;
/** What one stream may watch; the server's own bound is above it. */
const MOST_TAILS = 2000;
const MOST_METRICS = 100;

/**
 * One stream of changes for all tabs of a browser.
 *
 * The stream watches what any tab wants, and each tab is told what it wants itself. When wants change, a new stream goes on
 * where the old one is, and the old one ends once the new one is open. Nothing is missed in between: what is told has a
 * position, and a stream begins behind one.
 */
export class Hub {
  private readonly tabs = new Map<Port, Tab>();
  private position: string | null = null;
  private state: LiveState = NEVER_OPEN;
  private current: AbortController | null = null;
  private gathering: ReturnType<typeof setTimeout> | null = null;
  private waitMs = FIRST_WAIT_MS;
  /** What the stream that is open watches. */
  private watched = "";

  constructor(
    private readonly open: OpenStream,
    private readonly parser: () => EventParser,
  ) {}

  receive(port: Port, message: ToHub): void {
    const heardMs = Date.now();
    if (message.kind === "leave") this.tabs.delete(port);
    else {
      const was = this.tabs.get(port);
      if (was === undefined) port.postMessage({ kind: "state", state: this.state });
      const isNew = was === undefined || JSON.stringify(was.wants) !== JSON.stringify(message.wants);
      // What the tab has read and what the stream has told are two moments: the stream goes back to the earlier one.
      const behind = isNew ? earlier(was?.behind ?? null, message.wants.since) : was.behind;
      this.tabs.set(port, { wants: message.wants, key: message.key, behind, heardMs });
    }
    for (const [other, tab] of this.tabs) {
      if (heardMs - tab.heardMs > TAB_GONE_MS) this.tabs.delete(other);
    }
    this.later(GATHER_MS);
  }

  private later(ms: number): void {
    if (this.gathering !== null) clearTimeout(this.gathering);
    this.gathering = setTimeout(() => {
      this.gathering = null;
      void this.reopen();
    }, ms);
  }

  private async reopen(): Promise<void> {
    const tabs = [...this.tabs.values()];
    const body = questionOf(tabs.map((tab) => tab.wants));
    const key = tabs.at(-1)?.key ?? null;
    if (body === null) {
      this.current?.abort();
      this.current = null;
      this.watched = "";
      this.position = null;
      this.tell(NEVER_OPEN);
      return;
    }
    const watched = JSON.stringify([body, key]);
    if (watched === this.watched) return;
    const before = this.current;
    const ending = new AbortController();
    this.current = ending;
    this.watched = watched;
    const since = tabs.map((tab) => tab.behind).reduce(earlier, this.position);
    const opened = new Map(this.tabs);
    try {
      const stream = await this.open({ ...body, ...(since === null ? {} : { since }) }, key, ending.signal);
      before?.abort();
      for (const [port, tab] of opened) {
        if (this.tabs.get(port) === tab) this.tabs.set(port, { ...tab, behind: null });
      }
      this.waitMs = FIRST_WAIT_MS;
      this.tell({ ...this.state, isOpen: true, problem: null });
      await this.read(stream, ending);
      throw new Error("The stream of changes ended.");
    } catch (error) {
      before?.abort();
      if (this.current !== ending) return;
      this.current = null;
      this.watched = "";
      this.tell({ ...this.state, isOpen: false, problem: error instanceof Error ? error.message : String(error) });
      this.later(this.waitMs * (0.75 + Math.random() / 2));
      this.waitMs = Math.min(LONGEST_WAIT_MS, this.waitMs * 2);
    }
  }

  private async read(stream: ReadableStream<string>, ending: AbortController): Promise<void> {
    const parser = this.parser();
    const reader = stream.getReader();
    const onAbort = () => void reader.cancel().catch(() => undefined);
    ending.signal.addEventListener("abort", onAbort);
    let silence: ReturnType<typeof setTimeout> | null = null;
    const heard = () => {
      if (silence !== null) clearTimeout(silence);
      silence = setTimeout(() => ending.abort(), SILENCE_MS);
    };
    try {
      for (;;) {
        heard();
        const { done, value } = await reader.read();
        if (done || this.current !== ending) return;
        for (const event of parser.push(value)) this.take(event);
      }
    } finally {
      if (silence !== null) clearTimeout(silence);
      ending.signal.removeEventListener("abort", onAbort);
    }
  }

  private take(event: ServerEvent): void {
    if (event.data !== "") {
      const data = JSON.parse(event.data) as {
        readonly at?: string;
        readonly runs?: readonly Run[] | null;
        readonly summaries?: readonly Summary[] | null;
        readonly tails?: readonly Tail[] | null;
      };
      this.state = { ...this.state, serverAt: data.at ?? this.state.serverAt, heardMs: Date.now() };
      for (const [port, { wants }] of this.tabs) {
        for (const message of messagesFor(wants, data)) port.postMessage(message);
      }
    }
    // A message counts as told once its data were: whoever goes on behind it misses nothing.
    if (event.id !== null && event.id !== "") this.position = event.id;
    this.tell(this.state);
  }

  private tell(state: LiveState): void {
    this.state = state;
    for (const port of this.tabs.keys()) port.postMessage({ kind: "state", state });
  }
}

/** Return the body of one stream for all of these; null: nobody wants anything. Pure. */
export function questionOf(all: readonly Wants[]): object | null {
  const wants = all.filter((one) => one.runs === "all" || one.runs.length + one.metrics.length + one.tails.length > 0);
  if (wants.length === 0) return null;
  const workspaces = new Set(wants.map((one) => one.workspace));
  const projects = new Set(wants.map((one) => JSON.stringify([one.workspace, one.project])));
  const metrics = new Set(wants.flatMap((one) => one.metrics));
  const tails = new Map<string, WatchedTail>();
  for (const tail of wants.flatMap((one) => one.tails)) {
    tails.set(JSON.stringify([tail.run, tail.metric, tail.x, tail.width]), tail);
  }
  const wantsAll = wants.some((one) => one.runs === "all");
  const runs = new Set(wants.flatMap((one) => (one.runs === "all" ? [] : one.runs)));
  const kinds = [
    ...(wantsAll || runs.size > 0 ? ["run"] : []),
    ...(metrics.size > 0 ? ["summary"] : []),
    ...(tails.size > 0 ? ["tail"] : []),
  ];
  const [first] = wants;
  return {
    workspace: workspaces.size === 1 ? (first?.workspace ?? null) : null,
    project: projects.size === 1 ? (first?.project ?? null) : null,
    runs: wantsAll ? [] : [...runs].sort(),
    metrics: metrics.size > MOST_METRICS ? [] : [...metrics].sort(),
    tails: [...tails.values()].slice(0, MOST_TAILS),
    kinds,
  };
}

interface Told {
  readonly runs?: readonly Run[] | null;
  readonly summaries?: readonly Summary[] | null;
  readonly tails?: readonly Tail[] | null;
}

/** Return what of a message is for a tab. Pure. */
export function messagesFor(wants: Wants, told: Told): readonly FromHub[] {
  const messages: FromHub[] = [];
  const isWanted = (run: string) => wants.runs === "all" || wants.runs.includes(run);
  const runs = (told.runs ?? []).filter(
    (run) => isWanted(run.run) && fits(wants.workspace, run.workspace) && fits(wants.project, run.project),
  );
  if (runs.length > 0) messages.push({ kind: "runs", runs });
  if (told.summaries && told.summaries.length > 0 && wants.metrics.length > 0) {
    messages.push({ kind: "summaries", summaries: told.summaries });
  }
  const watched = new Set(wants.tails.map((tail) => `${tail.run}\n${tail.metric}\n${tail.x}\n${tail.width}`));
  const tails = (told.tails ?? []).filter((tail) => watched.has(`${tail.run}\n${tail.metric}\n${tail.axis}\n${tail.width}`));
  if (tails.length > 0) messages.push({ kind: "tails", tails });
  return messages;
}

function fits(wanted: string | null, is: string): boolean {
  return wanted === null || wanted === is;
}
