import { useSignal } from "@preact/signals";
import type { ComponentChildren, VNode } from "preact";
import { useEffect, useLayoutEffect, useRef } from "preact/hooks";

import { scaleOf, scrollOf, topOf, within } from "./scaled.ts";

/** Where the list goes: to a line, counted from 0, at its middle or, "end", to the last one and on with it. */
export type Goal = { readonly line: number } | "end";

interface LinesProps {
  readonly label: string;
  readonly total: number;
  /** Draws a line, counted from 0. */
  readonly line: (at: number) => ComponentChildren;
  /** Another goal, as an object, moves the list there. */
  readonly goal: Goal | null;
  readonly onShown: (first: number, end: number) => void;
  /** The person moved: `isAtEnd` tells whether the last line is visible. */
  readonly onMove: (isAtEnd: boolean) => void;
}

export const LINE_HEIGHT = 18;
/** A little below the last line, so that it is not cut by the scroll bar. */
const SLACK = 4;

/** Any number of lines of text, ten million too, of which only those that are visible are in the document. */
export function Lines({ label, total, line, goal, onShown, onMove }: LinesProps) {
  const box = useRef<HTMLDivElement>(null);
  const top = useSignal(0);
  const viewport = useSignal(400);
  /** Where the scroll bar was put by this component: its own events are no moves of a person. */
  const put = useRef(-1);
  const scale = scaleOf(total, LINE_HEIGHT, viewport.value);

  const move = (to: number) => {
    const element = box.current;
    if (element === null) return;
    top.value = within(scale, to, viewport.peek());
    element.scrollTop = scrollOf(scale, top.value);
    put.current = element.scrollTop;
  };
  const moved = () => onMove(top.peek() + viewport.peek() >= scale.whole - LINE_HEIGHT - SLACK);
  useLayoutEffect(() => {
    const element = box.current;
    if (element === null) return undefined;
    const measure = () => {
      viewport.value = element.clientHeight;
    };
    measure();
    const observer = new ResizeObserver(measure);
    observer.observe(element);
    return () => observer.disconnect();
  }, []);
  useLayoutEffect(() => {
    if (goal === "end") move(scale.whole);
    else if (goal !== null) move(goal.line * LINE_HEIGHT - viewport.peek() / 2);
  }, [goal, goal === "end" ? total : 0, viewport.value]);

  const first = Math.max(0, Math.floor(top.value / LINE_HEIGHT));
  const end = Math.min(total, Math.ceil((top.value + viewport.value) / LINE_HEIGHT) + 1);
  useEffect(() => onShown(first, end), [first, end]);

  const onScroll = () => {
    const element = box.current;
    if (element === null || Math.abs(element.scrollTop - put.current) < 1) return;
    put.current = element.scrollTop;
    top.value = topOf(scale, element.scrollTop);
    moved();
  };
  // Where a pixel of the scroll bar is many lines, the wheel and the keys move by lines all the same.
  const by = (pixels: number, event: Event) => {
    if (scale.factor === 1) return;
    event.preventDefault();
    move(top.peek() + pixels);
    moved();
  };
  const onKey = (event: KeyboardEvent) => {
    const page = viewport.peek() - LINE_HEIGHT;
    const steps: Readonly<Record<string, number>> = { ArrowDown: LINE_HEIGHT, ArrowUp: -LINE_HEIGHT, PageDown: page, PageUp: -page };
    const step = steps[event.key];
    if (step !== undefined && event.target === box.current) by(step, event);
  };

  const drawn: VNode[] = [];
  for (let at = first; at < end; at += 1) {
    drawn.push(
      <div key={at} class="line" style={{ top: `${at * LINE_HEIGHT - top.value}px` }}>
        {line(at)}
      </div>,
    );
  }
  return (
    <div
      ref={box}
      class="lines"
      role="region"
      aria-label={label}
      tabIndex={0}
      onScroll={onScroll}
      onWheel={(event) => by(event.deltaMode === 1 ? event.deltaY * LINE_HEIGHT : event.deltaY, event)}
      onKeyDown={onKey}
    >
      <div class="lines-space" style={{ height: `${scale.height + SLACK}px` }}>
        <div class="lines-window" style={{ height: `${viewport.value}px` }}>
          {drawn}
        </div>
      </div>
    </div>
  );
}
