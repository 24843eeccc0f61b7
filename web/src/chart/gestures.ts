/** Mouse, wheel and fingers over a plot. */
import { signal, type ReadonlySignal } from "@preact/signals";

import { beforePicture, notAnyMore } from "./frames.ts";
import type { ChartModel } from "./model.ts";
import { around, between, moved } from "./zoom.ts";

/** What is being dragged over, in pixels of the plot. */
export interface Box {
  readonly left: number;
  readonly top: number;
  readonly width: number;
  readonly height: number;
}

export interface Pointer {
  readonly x: number;
  readonly y: number;
}

interface Drag {
  readonly kind: "zoom" | "both" | "pan";
  readonly from: Pointer;
  readonly scale: ChartModel["across"]["value"];
}

/** A drag of fewer pixels is a click. */
const CLICK = 4;
/** Of a wheel's movement, what doubles the zoom. */
const WHEEL_DOUBLES = 300;

export class Gestures {
  /** Where the pointer is, over the plot; null elsewhere. */
  readonly pointer = signal<Pointer | null>(null);
  private readonly dragged = signal<Box | null>(null);
  readonly box: ReadonlySignal<Box | null> = this.dragged;
  private drag: Drag | null = null;
  private readonly fingers = new Map<number, Pointer>();
  private pinch: { readonly apart: number; readonly middle: number; readonly scale: ChartModel["across"]["value"] } | null = null;
  private pending: (() => void) | null = null;
  private readonly abort = new AbortController();

  constructor(
    private readonly model: ChartModel,
    private readonly plot: HTMLElement,
  ) {
    const { signal: ended } = this.abort;
    plot.addEventListener("pointerdown", (event) => this.down(event), { signal: ended });
    plot.addEventListener("pointermove", (event) => this.move(event), { signal: ended });
    plot.addEventListener("pointerup", (event) => this.up(event), { signal: ended });
    plot.addEventListener("pointercancel", (event) => this.cancel(event), { signal: ended });
    plot.addEventListener("pointerleave", (event) => this.leave(event), { signal: ended });
    plot.addEventListener("dblclick", () => this.out(), { signal: ended });
    plot.addEventListener("wheel", (event) => this.wheel(event), { signal: ended, passive: false });
  }

  close(): void {
    this.abort.abort();
    notAnyMore(this.work);
  }

  /** Ends a drag without what it would do. */
  cancelDrag(): void {
    this.drag = null;
    this.dragged.value = null;
  }

  /** Shows everything. */
  out(): void {
    this.model.view.range.value = null;
    this.model.yRange.value = null;
  }

  private at(event: MouseEvent): Pointer {
    const box = this.plot.getBoundingClientRect();
    return { x: event.clientX - box.left, y: event.clientY - box.top };
  }

  private down(event: PointerEvent): void {
    const from = this.at(event);
    if (event.pointerType === "touch") {
      this.fingers.set(event.pointerId, from);
      if (this.fingers.size === 2) this.beginPinch();
      return;
    }
    const pans = event.button === 1 || event.altKey;
    if (event.button !== 0 && !pans) return;
    event.preventDefault();
    this.plot.setPointerCapture(event.pointerId);
    this.plot.closest<HTMLElement>("[tabindex]")?.focus({ preventScroll: true });
    this.drag = { kind: pans ? "pan" : event.shiftKey ? "both" : "zoom", from, scale: this.model.across.peek() };
  }

  private move(event: PointerEvent): void {
    const here = this.at(event);
    if (event.pointerType === "touch" && this.fingers.has(event.pointerId)) {
      this.fingers.set(event.pointerId, here);
      if (this.pinch !== null) {
        this.later(() => this.doPinch());
        return;
      }
    }
    const { drag } = this;
    this.later(() => {
      this.point(here);
      if (drag === null || this.drag !== drag) return;
      if (drag.kind === "pan") this.panTo(drag, here);
      else this.dragged.value = this.boxOf(drag, here);
    });
  }

  private up(event: PointerEvent): void {
    this.lift(event);
    const { drag } = this;
    this.cancelDrag();
    if (drag === null || drag.kind === "pan") return;
    const here = this.at(event);
    if (Math.abs(here.x - drag.from.x) < CLICK) return;
    const range = between(drag.scale, Math.max(0, Math.min(drag.scale.size, drag.from.x)), Math.max(0, Math.min(drag.scale.size, here.x)));
    const values = drag.kind === "both" && Math.abs(here.y - drag.from.y) >= CLICK ? between(this.model.up.peek(), drag.from.y, here.y) : null;
    this.model.zoom(range);
    if (values !== null) this.model.yRange.value = values;
  }

  private cancel(event: PointerEvent): void {
    this.lift(event);
    this.cancelDrag();
    this.point(null);
  }

  private leave(event: PointerEvent): void {
    if (event.pointerType !== "touch") this.later(() => this.point(null));
  }

  private lift(event: PointerEvent): void {
    this.fingers.delete(event.pointerId);
    if (this.fingers.size < 2) this.pinch = null;
  }

  private wheel(event: WheelEvent): void {
    const { model } = this;
    const pixels = event.deltaMode === WheelEvent.DOM_DELTA_LINE ? 16 : 1;
    if (event.ctrlKey || event.metaKey) {
      event.preventDefault();
      const range = around(model.across.peek(), this.at(event).x, 2 ** ((-event.deltaY * pixels) / WHEEL_DOUBLES));
      model.zoom(range);
    } else if (event.shiftKey || Math.abs(event.deltaX) > Math.abs(event.deltaY)) {
      event.preventDefault();
      const range = moved(model.across.peek(), -(event.deltaX || event.deltaY) * pixels);
      model.zoom(range);
    }
  }

  private beginPinch(): void {
    this.cancelDrag();
    const [one, other] = [...this.fingers.values()] as [Pointer, Pointer];
    this.pinch = { apart: Math.max(20, Math.abs(one.x - other.x)), middle: (one.x + other.x) / 2, scale: this.model.across.peek() };
  }

  private doPinch(): void {
    const [one, other] = [...this.fingers.values()];
    if (this.pinch === null || one === undefined || other === undefined) return;
    const { apart, middle, scale } = this.pinch;
    const factor = Math.max(20, Math.abs(one.x - other.x)) / apart;
    // The place that was between the fingers stays between them.
    const place = (pixel: number): number => scale.inverse(middle + (pixel - (one.x + other.x) / 2) / factor);
    const [from, to] = [place(0), place(scale.size)];
    if (Number.isFinite(from) && Number.isFinite(to) && from < to) this.model.zoom({ from, to });
  }

  private panTo(drag: Drag, here: Pointer): void {
    const range = moved(drag.scale, here.x - drag.from.x);
    this.model.zoom(range);
  }

  private point(here: Pointer | null): void {
    this.pointer.value = here;
    const { cursor } = this.model.view;
    if (here !== null) cursor.value = { x: this.model.across.peek().inverse(here.x) };
    else if (cursor.peek() !== null) cursor.value = null;
  }

  private boxOf(drag: Drag, here: Pointer): Box | null {
    if (Math.abs(here.x - drag.from.x) < CLICK) return null;
    const { width, height } = this.model.size.peek();
    const [left, right] = [Math.max(0, Math.min(drag.from.x, here.x)), Math.min(width, Math.max(drag.from.x, here.x))];
    if (drag.kind === "zoom") return { left, top: 0, width: right - left, height };
    const [top, bottom] = [Math.max(0, Math.min(drag.from.y, here.y)), Math.min(height, Math.max(drag.from.y, here.y))];
    return { left, top, width: right - left, height: bottom - top };
  }

  private later(work: () => void): void {
    this.pending = work;
    beforePicture(this.work);
  }

  private readonly work = (): void => {
    const work = this.pending;
    this.pending = null;
    work?.();
  };
}
