/** A chart as a file: PNG with two pixels for one of CSS, or SVG. */
import type { Picture } from "../draw/engine.ts";
import { axisName } from "./format.ts";
import { BOTTOM, gutterOf, LINE, RIGHT, ticksAcross, ticksUp, TOP } from "./layout.ts";
import type { ChartModel } from "./model.ts";
import { svgOf } from "./svg.ts";

const RATIO = 2;
/** Above the chart: its title. */
const HEAD = 30;
const LOAD_MS = 10_000;

/** Draws the chart again and saves it. */
export async function save(model: ChartModel, title: string, kind: "png" | "svg"): Promise<void> {
  if (kind === "svg") {
    const text = await svgOf(model, title);
    if (text !== null) download(new Blob([text], { type: "image/svg+xml" }), `${fileName(title)}.svg`);
    return;
  }
  const picture = await pictureOf(model);
  if (picture === null) return;
  const canvas = drawn(model, title, picture);
  picture.bitmap.close();
  const blob = await new Promise<Blob | null>((resolve) => canvas.toBlob(resolve, "image/png"));
  if (blob !== null) download(blob, `${fileName(title)}.png`);
}

/** A name that every system takes for a file. */
export function fileName(title: string): string {
  const plain = title.replace(/[^\p{L}\p{N}._-]+/gu, "-").replace(/^[-.]+|-+$/g, "");
  return [...plain].slice(0, 80).join("") || "chart";
}

function pictureOf(model: ChartModel): Promise<Picture | null> {
  const scene = model.scene(RATIO);
  if (scene === null) return Promise.resolve(null);
  return new Promise((resolve) => {
    const easel = model.engine.easel((picture) => finish(picture));
    const timer = setTimeout(() => finish(null), LOAD_MS);
    const finish = (picture: Picture | null): void => {
      clearTimeout(timer);
      easel.close();
      resolve(picture);
    };
    easel.lines(model.drawnLines());
    easel.draw({ ...scene, highlighted: null });
  });
}

function drawn(model: ChartModel, title: string, picture: Picture): HTMLCanvasElement {
  const { width, height } = model.size.peek();
  const up = model.up.peek();
  const across = model.across.peek();
  const values = ticksUp(up);
  const left = gutterOf(values);
  const canvas = document.createElement("canvas");
  canvas.width = (left + width + RIGHT) * RATIO;
  canvas.height = (HEAD + TOP + height + BOTTOM + LINE) * RATIO;
  const context = canvas.getContext("2d");
  if (context === null) return canvas;
  const style = getComputedStyle(document.documentElement);
  const colour = (name: string): string => style.getPropertyValue(name).trim() || "#888888";
  context.scale(RATIO, RATIO);
  context.fillStyle = colour("--ground");
  context.fillRect(0, 0, canvas.width, canvas.height);
  context.fillStyle = colour("--text");
  context.font = "600 13px system-ui, sans-serif";
  context.fillText(title.slice(0, 200), left, 20, width);
  context.font = "11px system-ui, sans-serif";
  context.strokeStyle = colour("--chart-grid");
  const line = (x0: number, y0: number, x1: number, y1: number): void => {
    context.beginPath();
    context.moveTo(x0, y0);
    context.lineTo(x1, y1);
    context.stroke();
  };
  context.translate(left, HEAD + TOP);
  context.fillStyle = colour("--text-soft");
  context.textAlign = "right";
  context.textBaseline = "middle";
  for (const { at, label } of values) {
    const y = Math.round(up.at(at)) + 0.5;
    line(0, y, width, y);
    context.fillText(label, -6, y);
  }
  context.textAlign = "center";
  context.textBaseline = "alphabetic";
  for (const { at, label } of ticksAcross(across, model.view.xAxis.peek())) {
    const x = Math.round(across.at(at)) + 0.5;
    line(x, 0, x, height);
    context.fillText(label, x, height + LINE - 4);
  }
  context.fillText(axisName(model.view.xAxis.peek()), width / 2, height + LINE * 2 - 6, width);
  context.drawImage(picture.bitmap, 0, 0, width, height);
  return canvas;
}

function download(blob: Blob, name: string): void {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), LOAD_MS);
}
