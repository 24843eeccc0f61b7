/** Requests of charts that want the same of different metrics, put together: a row of charts is one request. Pure but for time. */

/** What a request is about, besides its metrics. Those with the same key go together. */
export interface Wanted {
  readonly key: string;
  readonly metrics: readonly string[];
  readonly signal: AbortSignal;
}

export type Ask<T> = (key: string, metrics: readonly string[], signal: AbortSignal) => Promise<T>;

/** Charts that become visible in one go ask within so many milliseconds. */
const GATHER_MS = 8;
/** Metrics of one request: a row of charts. More would let the first chart wait for the last. */
const AT_ONCE = 3;
/** Requests at a time: a browser has six connections to a host, and the live stream has one of them. */
const PARALLEL = 3;

interface Member<T> extends Wanted {
  readonly resolve: (value: T) => void;
  readonly reject: (error: unknown) => void;
}

/** Gathers requests, and asks for few of them at a time, the first first. What nobody waits for any more is not asked. */
export class Batches<T> {
  private gathered: Member<T>[] = [];
  private timer: ReturnType<typeof setTimeout> | null = null;
  private readonly queue: Member<T>[][] = [];
  private running = 0;

  constructor(private readonly ask: Ask<T>) {}

  load(wanted: Wanted): Promise<T> {
    return new Promise((resolve, reject) => {
      this.gathered.push({ ...wanted, resolve, reject });
      this.timer ??= setTimeout(() => this.send(), GATHER_MS);
    });
  }

  private send(): void {
    this.timer = null;
    const byKey = new Map<string, Member<T>[]>();
    for (const member of this.gathered) {
      const same = byKey.get(member.key);
      if (same === undefined) byKey.set(member.key, [member]);
      else same.push(member);
    }
    this.gathered = [];
    for (const members of byKey.values()) {
      for (let at = 0; at < members.length; at += AT_ONCE) this.queue.push(members.slice(at, at + AT_ONCE));
    }
    this.next();
  }

  private next(): void {
    while (this.running < PARALLEL) {
      const members = this.queue.shift();
      if (members === undefined) return;
      void this.run(members);
    }
  }

  private async run(all: readonly Member<T>[]): Promise<void> {
    for (const member of all) if (member.signal.aborted) member.reject(member.signal.reason);
    const members = all.filter((member) => !member.signal.aborted);
    const [first] = members;
    if (first === undefined) return;
    this.running += 1;
    const ending = new AbortController();
    let waiting = members.length;
    for (const member of members) {
      member.signal.addEventListener("abort", () => {
        waiting -= 1;
        if (waiting === 0) ending.abort(member.signal.reason);
      });
    }
    try {
      const metrics = [...new Set(members.flatMap((member) => member.metrics))];
      const value = await this.ask(first.key, metrics, ending.signal);
      for (const member of members) member.resolve(value);
    } catch (error) {
      for (const member of members) member.reject(error);
    } finally {
      this.running -= 1;
      this.next();
    }
  }
}
