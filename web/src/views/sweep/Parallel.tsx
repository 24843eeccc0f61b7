import { useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";

import type { Run } from "../../data/types.ts";
import { type FieldAxis, marksOf, placeOn, testOf, valueOf } from "./axes.ts";
import { shadeOf } from "./shades.ts";

interface ParallelProps {
  readonly runs: readonly Run[];
  readonly axes: readonly FieldAxis[];
  /** The axis whose values give lines their colours. */
  readonly target: FieldAxis | null;
  readonly highlighted: string | null;
  readonly onBrush: (test: string) => void;
}

const HEIGHT = 320;
const TOP = 30;
const BOTTOM = 12;
const LEAST_WIDTH = 110;
const MARKS = 5;

/** A line for each run through its values. A stretch that is dragged over on an axis becomes a filter. */
export function Parallel({ runs, axes, target, highlighted, onBrush }: ParallelProps) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const box = useRef<HTMLDivElement>(null);
  const width = useSignal(800);
  const brush = useSignal<{ readonly at: number; readonly from: number; readonly to: number } | null>(null);
  useEffect(() => {
    const element = box.current;
    if (element === null) return undefined;
    const observer = new ResizeObserver(() => {
      width.value = element.clientWidth;
    });
    observer.observe(element);
    return () => observer.disconnect();
  }, []);
  const wide = Math.max(width.value, axes.length * LEAST_WIDTH);
  const step = wide / Math.max(1, axes.length);
  const xOf = (at: number) => step * (at + 0.5);
  const yOf = (place: number) => TOP + (1 - place) * (HEIGHT - TOP - BOTTOM);
  useEffect(() => {
    const element = canvas.current;
    const context = element?.getContext("2d");
    if (!element || !context) return;
    const ratio = devicePixelRatio;
    element.width = Math.round(wide * ratio);
    element.height = Math.round(HEIGHT * ratio);
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.clearRect(0, 0, wide, HEIGHT);
    const style = getComputedStyle(element);
    for (const run of runs) {
      const isLit = run.run === highlighted;
      const place = target === null ? null : placeOn(target, valueOf(run, target.field));
      context.strokeStyle = place === null ? style.getPropertyValue("--line-strong") : shadeOf(place);
      context.globalAlpha = isLit ? 1 : highlighted === null ? 0.55 : 0.15;
      context.lineWidth = isLit ? 2.5 : 1;
      context.beginPath();
      let isOn = false;
      axes.forEach((axis, at) => {
        const here = placeOn(axis, valueOf(run, axis.field));
        // A run without a value here has a gap, not a line to some other place.
        if (here !== null && isOn) context.lineTo(xOf(at), yOf(here));
        else if (here !== null) context.moveTo(xOf(at), yOf(here));
        isOn = here !== null;
      });
      context.stroke();
    }
  });
  const placeAt = (event: PointerEvent) => {
    const top = box.current?.getBoundingClientRect().top ?? 0;
    return Math.min(1, Math.max(0, 1 - (event.clientY - top - TOP) / (HEIGHT - TOP - BOTTOM)));
  };
  const end = () => {
    const drawn = brush.value;
    brush.value = null;
    const axis = drawn === null ? undefined : axes[drawn.at];
    if (drawn === null || axis === undefined || Math.abs(drawn.from - drawn.to) < 0.01) return;
    const test = testOf(axis, drawn.from, drawn.to);
    if (test !== null) onBrush(test);
  };
  return (
    <div class="parallel-box">
      <div class="parallel" ref={box} style={{ height: `${HEIGHT}px`, minWidth: `${axes.length * LEAST_WIDTH}px` }}>
        <canvas ref={canvas} style={{ width: `${wide}px`, height: `${HEIGHT}px` }} aria-hidden="true" />
        <svg width={wide} height={HEIGHT} role="img" aria-label={`Parallel coordinates of ${runs.length} runs over ${axes.map((axis) => axis.field).join(", ")}`}>
          {axes.map((axis, at) => (
            <g key={axis.field} transform={`translate(${xOf(at)} 0)`}>
              <text class="axis-title" y="14" text-anchor="middle">
                {shortened(axis.field)}
                <title>{axis.missing === 0 ? axis.field : `${axis.field}: ${axis.missing} runs have none`}</title>
              </text>
              <line class="axis-line" y1={yOf(1)} y2={yOf(0)} />
              {marksOf(axis, MARKS).map((mark) => (
                <text key={mark.place} class="axis-mark" x="6" y={yOf(mark.place) + 4}>
                  {shortened(mark.text)}
                </text>
              ))}
              {brush.value?.at === at ? (
                <rect
                  class="brush"
                  x="-9"
                  width="18"
                  y={yOf(Math.max(brush.value.from, brush.value.to))}
                  height={Math.abs(yOf(brush.value.from) - yOf(brush.value.to))}
                />
              ) : null}
              <rect
                class="axis-grip"
                x="-12"
                width="24"
                y={TOP}
                height={HEIGHT - TOP - BOTTOM}
                onPointerDown={(event) => {
                  event.currentTarget.setPointerCapture(event.pointerId);
                  brush.value = { at, from: placeAt(event), to: placeAt(event) };
                }}
                onPointerMove={(event) => {
                  if (brush.value?.at === at) brush.value = { ...brush.value, to: placeAt(event) };
                }}
                onPointerUp={end}
                onPointerCancel={() => {
                  brush.value = null;
                }}
              />
            </g>
          ))}
        </svg>
      </div>
    </div>
  );
}

function shortened(text: string): string {
  return text.length > 18 ? `${text.slice(0, 8)}…${text.slice(-8)}` : text;
}
