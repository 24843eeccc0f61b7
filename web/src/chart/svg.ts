/** A chart as SVG: axes as texts and lines, curves as paths. Names are texts of it, never markup. */
import { axisName } from "./format.ts";
import { BOTTOM, gutterOf, LINE, RIGHT, TOP } from "./layout.ts";
import type { ChartModel } from "./model.ts";

const SVG = "http://www.w3.org/2000/svg";
/** Columns for a pixel of CSS. */
const FINENESS = 2;
const HEAD = 30;
const DASHES = ["", "7 4", "2 3", "12 4"];

/** The text of the file; null while the chart has no size. */
export async function svgOf(model: ChartModel, title: string): Promise<string | null> {
  const scene = model.scene(FINENESS);
  if (scene === null) return null;
  const outlines = await model.easel.outline(scene);
  const { width, height } = model.size.peek();
  const [across, up] = [model.across.peek(), model.up.peek()];
  const values = model.ticksUp.peek();
  const left = gutterOf(values);
  const style = getComputedStyle(document.documentElement);
  const colour = (name: string): string => style.getPropertyValue(name).trim() || "#888888";
  const size = { width: left + width + RIGHT, height: HEAD + TOP + height + BOTTOM + LINE };
  const root = make("svg", { ...size, viewBox: `0 0 ${size.width} ${size.height}`, "font-family": "system-ui, sans-serif", "font-size": 11 });
  root.append(make("rect", { ...size, fill: colour("--ground") }), write(title, { x: left, y: 20, "font-size": 13, "font-weight": 600, fill: colour("--text") }));
  const plot = make("g", { transform: `translate(${left} ${HEAD + TOP})`, fill: colour("--text-soft") });
  const grid = { fill: "none", stroke: colour("--line") };
  for (const { at, label } of values) {
    const y = up.at(at);
    plot.append(make("path", { ...grid, d: `M0 ${y}H${width}` }), write(label, { x: -6, y: y + 4, "text-anchor": "end" }));
  }
  for (const { at, label } of model.ticksAcross.peek()) {
    const x = across.at(at);
    plot.append(make("path", { ...grid, d: `M${x} 0V${height}` }), write(label, { x, y: height + LINE - 4, "text-anchor": "middle" }));
  }
  plot.append(write(axisName(model.view.xAxis.peek()), { x: width / 2, y: height + LINE * 2 - 6, "text-anchor": "middle" }));
  // What a curve has beyond the plot is not shown.
  const inner = make("svg", { width, height, overflow: "hidden" });
  const styles = model.lines.peek();
  for (const { key, rgb, dash, band, line } of outlines) {
    const paint = `#${rgb.toString(16).padStart(6, "0")}`;
    const group = make("g", {});
    const name = make("title", {});
    name.textContent = styles.get(key)?.name ?? "";
    group.append(name);
    if (band !== "") group.append(make("path", { d: band, fill: paint, "fill-opacity": 0.18 }));
    group.append(make("path", { d: line, fill: "none", stroke: paint, "stroke-width": 1.5, "stroke-linejoin": "round", "stroke-dasharray": DASHES[dash % DASHES.length] ?? "" }));
    inner.append(group);
  }
  plot.append(inner);
  root.append(plot);
  return new XMLSerializer().serializeToString(root);
}

function make(name: string, attributes: Readonly<Record<string, string | number>>): SVGElement {
  const element = document.createElementNS(SVG, name);
  for (const [attribute, value] of Object.entries(attributes)) {
    if (value !== "") element.setAttribute(attribute, String(value));
  }
  return element;
}

function write(text: string, attributes: Readonly<Record<string, string | number>>): SVGElement {
  const element = make("text", attributes);
  element.textContent = text.slice(0, 200);
  return element;
}
