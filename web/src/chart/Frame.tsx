import { effect } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";

import { beforePicture, notAnyMore } from "./frames.ts";
import { BOTTOM, CHARACTER, LINE, TOP } from "./layout.ts";
import type { ChartModel } from "./model.ts";

const SVG = "http://www.w3.org/2000/svg";

/**
 * Lines and labels of both axes, below the curves. They change with every picture of a zoom, in all charts of a page, so they
 * are set by hand: one path for all lines, and texts that are used again.
 */
export function Frame({ model }: { readonly model: ChartModel }) {
  const grid = useRef<SVGPathElement>(null);
  const base = useRef<SVGPathElement>(null);
  const across = useRef<SVGGElement>(null);
  const up = useRef<SVGGElement>(null);
  useEffect(() => {
    const draw = (): void => {
      if (grid.current === null || base.current === null || across.current === null || up.current === null) return;
      const { width, height } = model.size.peek();
      const left = model.gutter.peek();
      if (width < 1 || height < 1 || !model.visible.peek()) return;
      let path = "";
      let next = 0;
      for (const { at, label } of model.ticksUp.peek()) {
        const y = TOP + Math.round(model.up.peek().at(at)) + 0.5;
        path += `M${left} ${y}h${width}`;
        write(up.current, next++, left - 6, y, label);
      }
      clear(up.current, next);
      next = 0;
      for (const { at, label } of model.ticksAcross.peek()) {
        const x = model.across.peek().at(at);
        const half = (label.length * CHARACTER) / 2;
        path += `M${left + Math.round(x) + 0.5} ${TOP}v${height}`;
        write(across.current, next++, left + Math.min(Math.max(x, half), width - half), TOP + height + LINE - 4, label);
      }
      clear(across.current, next);
      grid.current.setAttribute("d", path);
      base.current.setAttribute("d", `M${left} ${TOP + height + 0.5}h${width}`);
    };
    // What is shown, and the picture, change one behind the other: the axes once for both.
    const end = effect(() => {
      void [model.across.value, model.up.value, model.gutter.value, model.size.value, model.visible.value];
      beforePicture(draw);
    });
    return () => {
      end();
      notAnyMore(draw);
    };
  }, [model]);
  return (
    <svg class="chart-frame" width="100%" height={TOP + BOTTOM} aria-hidden="true">
      <path class="chart-grid" ref={grid} />
      <path class="chart-axis" ref={base} />
      <g class="chart-label" text-anchor="middle" ref={across} />
      <g class="chart-label chart-label-up" text-anchor="end" ref={up} />
    </svg>
  );
}

/** What stands in a text, and where. */
const written = new WeakMap<SVGTextElement, { readonly label: string; readonly right: number; readonly down: number }>();

/** Writes the label number `at` of a group. */
function write(group: SVGGElement, at: number, x: number, y: number, label: string): void {
  let text = group.children[at] as SVGTextElement | undefined;
  if (text === undefined) {
    text = document.createElementNS(SVG, "text");
    group.append(text);
  }
  // Setting costs more than looking what is there, and most labels of a zoom stay.
  const known = written.get(text);
  const [right, down] = [Math.round(x), Math.round(y)];
  if (known?.label !== label) text.textContent = label;
  if (known?.right !== right || known.down !== down) text.setAttribute("transform", `translate(${right} ${down})`);
  written.set(text, { label, right, down });
}

function clear(group: SVGGElement, from: number): void {
  while (group.children.length > from) group.lastChild?.remove();
}
