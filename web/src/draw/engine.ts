/** The page's side of the Worker that paints curves. There is one for the page. */
import type { FromWorker, Line, Near, Outline, Report, Scene, ToWorker, Where } from "./messages.ts";
import type { Tail } from "./room.ts";
import type { SeriesInfo } from "./series.ts";

/** Curves that the Worker holds. */
export interface LoadedCurves {
  readonly id: number;
  /** What is known of the series; the newest after appends. */
  readonly series: readonly SeriesInfo[];
}

/** A picture for a canvas with a `bitmaprenderer` context. Whoever gets it shows it or closes it. */
export interface Picture {
  readonly bitmap: ImageBitmap;
  readonly scene: Scene;
  readonly report: Report;
}

interface Held {
  readonly curves: { readonly id: number; series: readonly SeriesInfo[] };
  holders: number;
}

/** The part of a Worker that is used: tests put another one in its place. */
export type Port = Pick<Worker, "onmessage" | "onerror" | "terminate"> & {
  postMessage(message: ToWorker, transfer: Transferable[]): void;
};

/** One chart of the engine. */
export interface Easel {
  /** Says which series there are and how they look; those later lie above. */
  lines(lines: readonly Line[]): void;
  /** Asks for a picture; one that is asked for before another is ready replaces it. */
  draw(scene: Scene): void;
  /** The buckets of the last picture that are meant; null if another question came behind it. */
  near(where: Where): Promise<readonly Near[] | null>;
  /** The curves of a scene as paths, for files. */
  outline(scene: Scene): Promise<readonly Outline[]>;
  close(): void;
}

interface Drawing {
  turn: number;
  scenes: Map<number, Scene>;
  readonly show: (picture: Picture) => void;
  readonly outlines: Map<number, (outlines: readonly Outline[]) => void>;
  asked: { turn: number; answer: (near: readonly Near[] | null) => void } | null;
}

export class CurveEngine {
  private readonly port: Port;
  private readonly loading = new Map<number, { resolve: (curves: LoadedCurves) => void; reject: (error: Error) => void }>();
  private readonly held = new Map<number, Held>();
  private readonly drawings = new Map<number, Drawing>();
  private readonly growing = new Set<(id: number) => void>();
  private next = 1;
  private failed: Error | null = null;

  constructor(worker: Port) {
    this.port = worker;
    this.port.onmessage = ({ data }: MessageEvent<FromWorker>) => this.receive(data);
    this.port.onerror = (event) => this.fail(new Error(`the Worker that paints curves failed: ${event.message || "it did not start"}; reload the page`));
  }

  /** Takes an Arrow stream of `POST /api/v1/charts`. The buffer belongs to the Worker from then on. */
  load(content: ArrayBuffer): Promise<LoadedCurves> {
    return this.take("arrow", content);
  }

  /** Takes the JSON of `POST /api/v1/charts/groups`, as bytes. */
  loadGroups(content: ArrayBuffer): Promise<LoadedCurves> {
    return this.take("groups", content);
  }

  private take(form: "arrow" | "groups", content: ArrayBuffer): Promise<LoadedCurves> {
    if (this.failed) return Promise.reject(this.failed);
    const id = this.next++;
    return new Promise((resolve, reject) => {
      this.loading.set(id, { resolve, reject });
      this.port.postMessage({ kind: "load", id, form, content }, [content]);
    });
  }

  /** Claims curves for one more chart. */
  hold(curves: LoadedCurves): void {
    const held = this.held.get(curves.id);
    if (held !== undefined) held.holders++;
  }

  /**
   * Gives a claim back. Curves that nobody claims are freed, a moment later: of several charts that wait for the same load, one
   * that is closed already may give its claim back before the next has made its own.
   */
  drop(curves: LoadedCurves): void {
    const held = this.held.get(curves.id);
    if (held === undefined || --held.holders > 0) return;
    setTimeout(() => {
      if (held.holders > 0 || this.held.get(curves.id) !== held) return;
      this.held.delete(curves.id);
      this.port.postMessage({ kind: "drop", id: curves.id }, []);
    });
  }

  /** Replaces the ends of curves by what the live stream brought. The arrays belong to the Worker from then on. */
  append(curves: LoadedCurves, tails: readonly Tail[]): void {
    const buffers = tails.flatMap((tail) => [tail.x, tail.min, tail.max, tail.mean, tail.flags].map((column) => column.buffer as ArrayBuffer));
    this.port.postMessage({ kind: "append", id: curves.id, tails }, [...new Set(buffers)]);
  }

  /** Calls the listener with the number of curves that grew, when the Worker has them. Returns what ends it. */
  onGrown(listener: (id: number) => void): () => void {
    this.growing.add(listener);
    return () => this.growing.delete(listener);
  }

  /** Begins a chart. `show` gets its pictures. */
  easel(show: (picture: Picture) => void): Easel {
    const chart = this.next++;
    const drawing: Drawing = { turn: 0, scenes: new Map(), show, outlines: new Map(), asked: null };
    this.drawings.set(chart, drawing);
    return {
      lines: (lines) => this.port.postMessage({ kind: "lines", chart, lines }, []),
      draw: (scene) => {
        const turn = ++drawing.turn;
        drawing.scenes.set(turn, scene);
        this.port.postMessage({ kind: "draw", chart, turn, scene }, []);
      },
      near: (where) => {
        drawing.asked?.answer(null);
        const turn = ++drawing.turn;
        return new Promise((answer) => {
          drawing.asked = { turn, answer };
          this.port.postMessage({ kind: "near", chart, turn, where }, []);
        });
      },
      outline: (scene) =>
        new Promise((answer) => {
          const turn = ++drawing.turn;
          drawing.outlines.set(turn, answer);
          this.port.postMessage({ kind: "outline", chart, turn, scene }, []);
        }),
      close: () => {
        for (const answer of drawing.outlines.values()) answer([]);
        drawing.asked?.answer(null);
        this.drawings.delete(chart);
        this.port.postMessage({ kind: "forget", chart }, []);
      },
    };
  }

  /** Ends the Worker. */
  close(): void {
    this.fail(new Error("the engine was closed"));
    this.port.terminate();
  }

  private receive(message: FromWorker): void {
    switch (message.kind) {
      case "loaded": {
        const curves = { id: message.id, series: message.series };
        this.held.set(message.id, { curves, holders: 0 });
        this.loading.get(message.id)?.resolve(curves);
        this.loading.delete(message.id);
        break;
      }
      case "failed":
        this.loading.get(message.id)?.reject(new Error(message.message));
        this.loading.delete(message.id);
        break;
      case "grown": {
        const curves = this.held.get(message.id)?.curves;
        if (curves === undefined) break;
        const grown = new Map(message.series.map((one) => [one.key, one]));
        curves.series = curves.series.map((one) => grown.get(one.key) ?? one);
        for (const listener of this.growing) listener(message.id);
        break;
      }
      case "picture":
        this.showPicture(message);
        break;
      case "outline": {
        const drawing = this.drawings.get(message.chart);
        drawing?.outlines.get(message.turn)?.(message.outlines);
        drawing?.outlines.delete(message.turn);
        break;
      }
      case "near": {
        const asked = this.drawings.get(message.chart)?.asked;
        if (asked?.turn === message.turn) asked.answer(message.near);
        break;
      }
    }
  }

  private showPicture(message: FromWorker & { kind: "picture" }): void {
    const drawing = this.drawings.get(message.chart);
    const scene = drawing?.scenes.get(message.turn);
    if (drawing === undefined || scene === undefined) {
      message.picture.close();
      return;
    }
    for (const turn of drawing.scenes.keys()) if (turn <= message.turn) drawing.scenes.delete(turn);
    drawing.show({ bitmap: message.picture, scene, report: message.report });
  }

  private fail(error: Error): void {
    this.failed = error;
    for (const { reject } of this.loading.values()) reject(error);
    this.loading.clear();
  }
}
