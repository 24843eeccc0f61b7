/** What the page and the Worker send each other. Buffers and pictures are transferred, never copied. */
import type { Tail } from "./room.ts";
import type { Axis } from "./scale.ts";
import type { SeriesInfo } from "./series.ts";

/** How one series is drawn. Those that come later lie above. */
export interface Line {
  readonly key: string;
  /** 0xRRGGBB */
  readonly rgb: number;
  /** Number of the dash: 0 for a line without gaps. */
  readonly dash: number;
}

/** What a picture shows. Lengths in pixels of the device. */
export interface Scene {
  readonly width: number;
  readonly height: number;
  /** Pixels of the device for one of CSS. */
  readonly ratio: number;
  /** The load over everything. */
  readonly base: number | null;
  /** The finest load of a window that the picture needs. */
  readonly detail: { readonly id: number; readonly from: number; readonly to: number } | null;
  /** Null: from the first place to the last. */
  readonly x: { readonly from: number; readonly to: number } | null;
  readonly xLog: boolean;
  /** Null: what the curves need. */
  readonly y: { readonly from: number; readonly to: number } | null;
  readonly yLog: boolean;
  /** Length of the exponential average in units of the axis; null: none. */
  readonly smoothing: number | null;
  /** `extremes`: a pale band under the line of means; `spread`: one standard deviation (groups); `solid`: the extremes as the line. */
  readonly band: "extremes" | "spread" | "solid";
  /** Whether few extreme values may be outside of the picture. */
  readonly outliers: boolean;
  /** Key of a series that stands out, or "run\n" of all of a run. */
  readonly highlighted: string | null;
}

/** What a picture turned out to show. */
export interface Report {
  readonly x: Axis;
  readonly y: Axis;
  /** First and last place of all curves; null where there are none. */
  readonly extent: { readonly from: number; readonly to: number } | null;
  /** Lowest and highest value in the window; null where there is none. */
  readonly values: { readonly low: number; readonly high: number } | null;
  /** Curves that have something in the window. */
  readonly curves: number;
  /** Whether all of them are drawn point by point; otherwise how many points a bucket has at most. */
  readonly exact: boolean;
  readonly largest: number;
  /** Curves in the window that have NaN, infinities, values that a logarithmic scale cannot show. */
  readonly nan: number;
  readonly infinite: number;
  readonly notPositive: number;
  /** Points (where `exact`) or buckets that have a point above or below the picture. */
  readonly above: number;
  readonly below: number;
  /** Curves that begin at a place <= 0 that a logarithmic axis cannot show. */
  readonly beforeAxis: number;
  /** How long the drawing took, in ms. */
  readonly took: number;
}

/** The bucket of a series that is nearest to a place. */
export interface Near {
  readonly key: string;
  readonly place: number;
  readonly mean: number;
  readonly min: number;
  readonly max: number;
  /** Whether it is a logged point (its value in single precision). */
  readonly exact: boolean;
  /** Distance in pixels of the device from the pointer, downwards. */
  readonly distance: number;
}

/** Which buckets somebody asks for: those nearest to a pixel of the picture, or the next one behind (1) or before (-1) a place. */
export type Where =
  | { readonly x: number; readonly y: number; readonly most: number }
  | { readonly place: number; readonly direction: 1 | -1 };

/** One curve as paths of SVG, in pixels of CSS. Empty where there is nothing. */
export interface Outline {
  readonly key: string;
  readonly rgb: number;
  readonly dash: number;
  /** Around the extremes. */
  readonly band: string;
  /** Of means; of points, where the curve is exact. */
  readonly line: string;
}

export type ToWorker =
  | { readonly kind: "load"; readonly id: number; readonly form: "arrow" | "groups"; readonly content: ArrayBuffer }
  | { readonly kind: "drop"; readonly id: number }
  | { readonly kind: "append"; readonly id: number; readonly tails: readonly Tail[] }
  | { readonly kind: "lines"; readonly chart: number; readonly lines: readonly Line[] }
  | { readonly kind: "draw"; readonly chart: number; readonly turn: number; readonly scene: Scene }
  | { readonly kind: "near"; readonly chart: number; readonly turn: number; readonly where: Where }
  | { readonly kind: "outline"; readonly chart: number; readonly turn: number; readonly scene: Scene }
  | { readonly kind: "forget"; readonly chart: number };

export type FromWorker =
  | { readonly kind: "loaded"; readonly id: number; readonly series: readonly SeriesInfo[] }
  | { readonly kind: "failed"; readonly id: number; readonly message: string }
  | { readonly kind: "grown"; readonly id: number; readonly series: readonly SeriesInfo[] }
  | { readonly kind: "picture"; readonly chart: number; readonly turn: number; readonly picture: ImageBitmap; readonly report: Report }
  | { readonly kind: "near"; readonly chart: number; readonly turn: number; readonly near: readonly Near[] }
  | { readonly kind: "outline"; readonly chart: number; readonly turn: number; readonly outlines: readonly Outline[] };
