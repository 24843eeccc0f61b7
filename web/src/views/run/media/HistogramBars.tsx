import type { Histogram } from "../../../data/histograms.ts";
import { textOfCount, textOfNumber } from "../../../data/values.ts";

interface HistogramBarsProps {
  readonly histogram: Histogram;
  readonly label: string;
}

/** Of the picture's own coordinates. */
const WIDTH = 300;
const HEIGHT = 110;

/** A histogram as bars, each with its range and count. */
export function HistogramBars({ histogram: { counts, edges }, label }: HistogramBarsProps) {
  const [low, high] = [edges[0] ?? 0, edges.at(-1) ?? 1];
  const most = counts.reduce((a, b) => Math.max(a, b), 1);
  const scale = WIDTH / (high - low || 1);
  const total = counts.reduce((sum, count) => sum + count, 0);
  return (
    <figure class="histogram">
      <svg viewBox={`0 0 ${WIDTH} ${HEIGHT}`} preserveAspectRatio="none" role="img" aria-label={`Histogram of ${label}: ${total} values`}>
        {counts.map((count, at) => {
          const [from, to] = [edges[at] ?? 0, edges[at + 1] ?? 0];
          const height = (count / most) * HEIGHT;
          return (
            <rect key={at} x={(from - low) * scale} y={HEIGHT - height} width={Math.max(0.3, (to - from) * scale - 0.4)} height={height}>
              <title>{`${textOfNumber(from)} to ${textOfNumber(to)}: ${textOfCount(count)}`}</title>
            </rect>
          );
        })}
      </svg>
      <figcaption class="ends">
        <span>{textOfNumber(low)}</span>
        <span>{textOfCount(total)} values</span>
        <span>{textOfNumber(high)}</span>
      </figcaption>
    </figure>
  );
}
