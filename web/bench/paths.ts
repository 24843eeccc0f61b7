/** The peer: the same curves as paths of a 2D canvas, a band and a line for each. */
import { curvesOfArrow } from "../src/draw/arrow.ts";
import { placeOf } from "../src/draw/series.ts";

export class Paths {
  private readonly curves;
  private readonly canvas = document.createElement("canvas");

  constructor(content: ArrayBuffer, root: HTMLElement) {
    this.curves = curvesOfArrow(content);
    this.canvas.width = 900;
    this.canvas.height = 400;
    root.append(this.canvas);
    this.draw(0, 1);
  }

  /** Draws [from, to] of the axis, in shares of its length. */
  draw(from: number, to: number): void {
    const context = this.canvas.getContext("2d");
    if (context === null) return;
    const { width, height } = this.canvas;
    context.clearRect(0, 0, width, height);
    this.curves.list.forEach(({ rows }, number) => {
      const end = placeOf(rows, rows.length - 1);
      const x = (row: number): number => ((placeOf(rows, row) / end - from) / (to - from)) * width;
      const y = (value: number | undefined): number => height * (1 - (value ?? 0));
      const colour = `hsl(${(number * 137.5) % 360} 65% 42%)`;
      context.beginPath();
      for (let row = 0; row < rows.length; row++) context.lineTo(x(row), y(rows.max[row]));
      for (let row = rows.length - 1; row >= 0; row--) context.lineTo(x(row), y(rows.min[row]));
      context.globalAlpha = 0.15;
      context.fillStyle = colour;
      context.fill();
      context.beginPath();
      for (let row = 0; row < rows.length; row++) context.lineTo(x(row), y(rows.mean[row]));
      context.globalAlpha = 1;
      context.strokeStyle = colour;
      context.lineWidth = 1.5;
      context.stroke();
    });
  }
}
