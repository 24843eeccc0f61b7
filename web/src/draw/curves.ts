/** Loaded curves in the Worker: what a response held, by the keys of its series. */
import { Room, type Tail } from "./room.ts";
import type { Rows, SeriesInfo } from "./series.ts";

/** A series with its buckets. `spread`: the same with one standard deviation around the mean as extremes (groups). */
export interface Curve {
  info: SeriesInfo;
  rows: Rows;
  spread: Rows | null;
}

export class Curves {
  readonly byKey = new Map<string, Curve>();
  private readonly rooms = new Map<Curve, Room>();

  constructor(readonly list: Curve[]) {
    for (const curve of list) this.byKey.set(curve.info.key, curve);
  }

  get series(): SeriesInfo[] {
    return this.list.map((curve) => curve.info);
  }

  /** Puts a tail in the place of what was there, and returns what is known of the series then; null if it is not here. */
  append(tail: Tail): SeriesInfo | null {
    const curve = this.byKey.get(tail.key);
    if (curve === undefined) return null;
    const room = this.rooms.get(curve) ?? new Room(curve.rows);
    this.rooms.set(curve, room);
    curve.rows = room.append(tail);
    const { length, exact } = curve.rows;
    const largest = exact ? 1 : Math.max(2, curve.info.largest);
    const total = Math.max(tail.points, curve.info.total);
    curve.info = { ...curve.info, rows: length, points: tail.points, total, largest };
    return curve.info;
  }
}
