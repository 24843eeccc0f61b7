import { useEffect, useRef } from "preact/hooks";

import { type Asset, textOfAsset } from "../../../data/assets.ts";
import type { Client } from "../../../data/client.ts";
import { evenly, extentOf, type Histogram, histogramOf, spread } from "../../../data/histograms.ts";
import type { Media } from "../../../data/media.ts";
import { textOfCount, textOfNumber } from "../../../data/values.ts";
import { useLoaded } from "../../../state/loading.ts";
import { useServices } from "../../../state/services.ts";

/** Histograms that are read for one picture, each a request; and how many at once. */
const MOST_STEPS = 64;
const AT_ONCE = 4;
const BINS = 96;
const FILE_BYTES = 1_000_000;

/** Histograms over steps as a picture: a column a step, the darker the more values. */
export function HistogramSteps({ media }: { readonly media: Media }) {
  const { client, theme } = useServices();
  const chosen = evenly(media.steps, MOST_STEPS).flatMap(({ assets }) => assets.at(-1) ?? []);
  const key = chosen.map(({ sha256 }) => sha256).join();
  const loaded = useLoaded((signal) => histogramsOf(client, chosen, signal), key);
  const canvas = useRef<HTMLCanvasElement>(null);
  const found = loaded.value.value;
  const shade = theme.shade.value;
  useEffect(() => {
    if (canvas.current !== null && found !== null) paint(canvas.current, found);
  }, [found, shade]);
  const extent = extentOf(found ?? []);
  const [first, last] = [media.steps[0]?.step ?? 0, media.steps.at(-1)?.step ?? 0];
  return (
    <figure class="histogram-steps">
      <canvas ref={canvas} height={BINS} role="img" aria-label={`Histograms of ${media.name} from step ${first} to ${last}`} />
      <figcaption class="ends">
        <span>step {textOfCount(first)}</span>
        <span>
          {extent === null ? "" : `${textOfNumber(extent[0], 3)} to ${textOfNumber(extent[1], 3)}, upwards`}
          {media.steps.length > chosen.length ? `; ${chosen.length} of ${textOfCount(media.steps.length)} steps` : ""}
        </span>
        <span>{textOfCount(last)}</span>
      </figcaption>
    </figure>
  );
}

async function histogramsOf(client: Client, assets: readonly Asset[], signal: AbortSignal): Promise<readonly Histogram[]> {
  const found = new Array<Histogram | null>(assets.length).fill(null);
  let next = 0;
  const work = async () => {
    for (let at = next++; at < assets.length; at = next++) {
      const asset = assets[at];
      if (asset !== undefined) found[at] = histogramOf((await textOfAsset(client, asset, FILE_BYTES, signal)).text);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, work));
  return found.filter((one) => one !== null);
}

/** One pixel a bin and a step; the style of the page stretches it. */
function paint(canvas: HTMLCanvasElement, histograms: readonly Histogram[]): void {
  const extent = extentOf(histograms);
  const context = canvas.getContext("2d");
  if (extent === null || context === null) return;
  canvas.width = histograms.length;
  context.clearRect(0, 0, canvas.width, BINS);
  context.fillStyle = getComputedStyle(canvas).color;
  histograms.forEach((histogram, x) => {
    const shares = spread(histogram, extent, BINS);
    const most = shares.reduce((a, b) => Math.max(a, b), 0);
    shares.forEach((share, bin) => {
      if (share === 0) return;
      // Even a single value is seen: nothing that is there is as pale as nothing.
      context.globalAlpha = 0.12 + 0.88 * Math.sqrt(share / most);
      context.fillRect(x, BINS - 1 - bin, 1, 1);
    });
  });
}
