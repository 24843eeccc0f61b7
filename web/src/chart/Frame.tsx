import { useSignalEffect } from "@preact/signals";
import { useRef } from "preact/hooks";

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
  useSignalEffect(() => {
    if (grid.current === null || base.current === null || across.current === null || up.current === null) return;
    const { width, height } = model.size.value;
    const left = model.gutter.value;
    if (width < 1 || height < 1 || !model.visible.value) return;
    let path = "";
    let next = 0;
    for (const { at, label } of model.ticksUp.value) {
      const y = TOP + Math.round(model.up.value.at(at)) + 0.5;
      path += `M${left} ${y}h${width}`;
      write(up.current, next++, left - 6, y, label);
    }
    clear(up.current, next);
    next = 0;
    for (const { at, label } of model.ticksAcross.value) {
      const x = model.across.value.at(at);
      const half = (label.length * CHARACTER) / 2;
      path += `M${left + Math.round(x) + 0.5} ${TOP}v${height}`;
      write(across.current, next++, left + Math.min(Math.max(x, half), width - half), TOP + height + LINE - 4, label);
    }
    clear(across.current, next);
    grid.current.setAttribute("d", path);
    base.current.setAttribute("d", `M${left} ${TOP + height + 0.5}h${width}`);
  });
  return (
    <svg class="chart-frame" width="100%" height={TOP + BOTTOM} aria-hidden="true">
      <path class="chart-grid" ref={grid} />
      <path class="chart-axis" ref={base} />
      <g class="chart-label" text-anchor="middle" ref={across} />
      <g class="chart-label chart-label-up" text-anchor="end" ref={up} />
    </svg>
  );
}

/** Writes the label number `at` of a group. */
function write(group: SVGGElement, at: number, x: number, y: number, label: string): void {
  let text = group.children[at] as SVGTextElement | undefined;
  if (text === undefined) {
    text = document.createElementNS(SVG, "text");
    group.append(text);
  }
  if (text.textContent !== label) text.textContent = label;
  text.setAttribute("transform", `translate(${Math.round(x * 2) / 2} ${y})`);
}

function clear(group: SVGGElement, from: number): void {
  while (group.children.length > from) group.lastChild?.remove();
}
