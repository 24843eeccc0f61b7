/** One chart: what it shows, what it asks the Worker for, and the last picture moved to where it belongs now. */
import { computed, effect, signal, type ReadonlySignal } from "@preact/signals";

import type { CurveEngine, Easel, Picture } from "../draw/engine.ts";
import type { Line, Report, Scene } from "../draw/messages.ts";
import { Scale, stretched, valueScale, type Axis } from "../draw/scale.ts";
import { rgbOf } from "./colour.ts";
import { beforePicture, notAnyMore } from "./frames.ts";
import { gutterOf, ticksAcross, ticksUp } from "./layout.ts";
import { Levels } from "./levels.ts";
import type { CurveSource } from "./source.ts";
import { isWide } from "./zoom.ts";
import { grow, type ChartView, type LineStyle, type Range } from "./view.ts";

export type Lines = ReadonlySignal<ReadonlyMap<string, LineStyle>>;

export interface Size {
  readonly width: number;
  readonly height: number;
}

const EMPTY: Axis = { from: 0, to: 1, log: false };
/** Buckets for a pixel of CSS, and in what steps: so that the charts of a row ask for the same. */
const BUCKETS_A_PIXEL = 2;
const BUCKETS_STEP = 250;
const MOST_BUCKETS = 1_000;

let models = 0;

export class ChartModel {
  /** Of the models of the page. */
  readonly number = ++models;
  /** Size of the plot in pixels of CSS. */
  readonly size = signal<Size>({ width: 0, height: 0 });
  /** Pixels of the device for one of CSS. */
  readonly ratio = signal(1);
  readonly visible = signal(false);
  /** Of values, where the chart is zoomed in both directions. */
  readonly yRange = signal<Range | null>(null);
  /** The chart's own choice; null: that of the view. */
  readonly ownLog = signal<boolean | null>(null);
  readonly ownOutliers = signal<boolean | null>(null);
  /** Key of the curve under the pointer. */
  readonly hovered = signal<string | null>(null);
  readonly report = signal<Report | null>(null);
  readonly levels: Levels;
  readonly yLog = computed(() => this.ownLog.value ?? this.view.yLog.value);
  readonly outliers = computed(() => this.ownOutliers.value ?? this.view.outliers.value);
  /** What is shown now: that of the last picture, unless somebody has zoomed since. */
  readonly x: ReadonlySignal<Axis> = computed(() => {
    const { range, xLog } = this.view;
    const drawn = this.report.value?.x;
    if (range.value === null) return drawn ?? { ...EMPTY, log: xLog.value };
    if (!xLog.value) return { ...range.value, log: false };
    const to = range.value.to > 0 ? range.value.to : 10;
    return { from: range.value.from > 0 ? range.value.from : Math.min(1, to / 10), to, log: true };
  });
  readonly y: ReadonlySignal<Axis> = computed(() => {
    const log = this.report.value?.y.log ?? this.yLog.value;
    const own = this.yRange.value;
    return own !== null && (!log || own.from > 0) ? { ...own, log } : (this.report.value?.y ?? { ...EMPTY, log });
  });
  readonly across = computed(() => new Scale(this.x.value, this.size.value.width));
  readonly up = computed(() => valueScale(this.y.value, this.size.value.height));

  readonly ticksAcross = computed(() => ticksAcross(this.across.value, this.view.xAxis.value));
  readonly ticksUp = computed(() => ticksUp(this.up.value));
  /** Width of the column for labels of values. */
  readonly gutter = computed(() => gutterOf(this.ticksUp.value));

  readonly easel: Easel;
  private canvas: HTMLCanvasElement | null = null;
  private context: ImageBitmapRenderingContext | null = null;
  private readonly ends: (() => void)[] = [];

  constructor(
    readonly engine: CurveEngine,
    readonly metrics: readonly string[],
    readonly source: CurveSource,
    readonly lines: Lines,
    readonly view: ChartView,
  ) {
    this.levels = new Levels(engine, metrics, source);
    this.easel = engine.easel((picture) => this.show(picture));
    this.ends.push(
      effect(() => {
        this.easel.lines(linesOf(this.lines.value));
        this.ask();
      }),
      effect(() => {
        if (this.visible.value && this.size.value.width > 0 && this.levels.base === null && !this.levels.isAsked) {
          void this.levels.loadWhole(bucketsFor(this.size.value.width));
        }
      }),
      effect(() => this.watch()),
      effect(() => this.place()),
      effect(() => {
        if (!this.visible.value) this.free();
      }),
    );
  }

  /** Draws into this canvas from now on. */
  attach(canvas: HTMLCanvasElement | null): void {
    this.canvas = canvas;
    this.context = canvas?.getContext("bitmaprenderer") ?? null;
    this.ask();
  }

  /** Shows this part of the axis, unless it is none: null, or narrower than what lies between two places. */
  zoom(range: Range | null): void {
    if (range !== null && isWide(range, !this.view.xAxis.peek().startsWith("metric:"))) this.view.range.value = range;
  }

  /** What the picture depends on. */
  private watch(): void {
    const { range, xLog, smoothing, band, highlighted } = this.view;
    void [range.value, xLog.value, smoothing.value, band.value, highlighted.value, this.yLog.value, this.outliers.value];
    void [this.yRange.value, this.hovered.value, this.size.value, this.ratio.value, this.visible.value, this.levels.version.value];
    this.ask();
  }

  private ask(): void {
    if (this.visible.peek()) beforePicture(this.draw);
  }

  private readonly draw = (): void => {
    // Until something is there the axes have nothing to say either.
    if (this.levels.base === null) return;
    const range = this.view.range.peek();
    const end = this.view.extent.peek()?.to ?? Infinity;
    const drawn = this.report.peek();
    const inside = drawn !== null && range !== null && drawn.x.from <= range.from && drawn.x.to >= range.to;
    this.levels.show(range, inside && drawn.exact, end);
    const scene = this.scene(this.ratio.peek());
    if (scene !== null) this.easel.draw(scene);
  };

  /** What the chart shows, at so many pixels for one of CSS; null while it has no size. */
  scene(ratio: number): Scene | null {
    const { width, height } = this.size.peek();
    if (width < 1 || height < 1) return null;
    const { view } = this;
    const range = view.range.peek();
    const detail = this.levels.detailFor(range);
    return {
      width: Math.round(width * ratio),
      height: Math.round(height * ratio),
      ratio,
      base: this.levels.base?.id ?? null,
      detail: detail && { id: detail.curves.id, from: detail.from, to: detail.to },
      x: range,
      xLog: view.xLog.peek(),
      y: this.yRange.peek(),
      yLog: this.yLog.peek(),
      smoothing: view.smoothing.peek(),
      band: view.band.peek(),
      outliers: this.outliers.peek(),
      highlighted: this.hovered.peek() ?? view.highlighted.peek(),
    };
  }

  /** The lines that are shown, the lowest first. */
  drawnLines(): Line[] {
    return linesOf(this.lines.peek());
  }

  private show(picture: Picture): void {
    if (this.context === null || !this.visible.peek()) {
      picture.bitmap.close();
      return;
    }
    this.context.transferFromImageBitmap(picture.bitmap);
    const { report } = picture;
    this.report.value = report;
    if (report.extent !== null && report.extent.from < report.extent.to) grow(this.view, report.extent);
  }

  /** Moves and stretches the last picture to what is shown now. */
  private place(): void {
    const report = this.report.value;
    const { width, height } = this.size.value;
    const [across, up] = [this.across.value, this.up.value];
    if (report === null || this.canvas === null) return;
    // A scale that changed from even to logarithmic cannot be stretched: the picture stays until the next one comes.
    const alike = report.x.log === across.log && report.y.log === up.log;
    const right = alike ? stretched(new Scale(report.x, width), across) : { factor: 1, offset: 0 };
    const down = alike ? stretched(valueScale(report.y, height), up) : { factor: 1, offset: 0 };
    this.canvas.style.transform =
      right.factor === 1 && right.offset === 0 && down.factor === 1 && down.offset === 0
        ? "none"
        : `matrix(${right.factor}, 0, 0, ${down.factor}, ${right.offset}, ${down.offset})`;
  }

  private free(): void {
    this.context?.transferFromImageBitmap(null);
  }

  close(): void {
    notAnyMore(this.draw);
    for (const end of this.ends) end();
    this.easel.close();
    this.levels.close();
    this.free();
  }
}

function bucketsFor(width: number): number {
  return Math.min(MOST_BUCKETS, Math.max(BUCKETS_STEP, Math.ceil((width * BUCKETS_A_PIXEL) / BUCKETS_STEP) * BUCKETS_STEP));
}

/** The lines that are shown, the lowest first. */
function linesOf(styles: ReadonlyMap<string, LineStyle>): Line[] {
  return [...styles]
    .filter(([, style]) => !style.hidden)
    .sort(([, one], [, other]) => one.order - other.order)
    .map(([key, style]) => ({ key, rgb: rgbOf(style.colour), dash: style.dash }));
}
