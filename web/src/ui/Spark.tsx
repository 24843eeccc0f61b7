import type { Spark } from "../data/sparks.ts";
import { textOfCount } from "../data/values.ts";

const WIDTH = 112;
const HEIGHT = 22;

/** A small picture of a curve: all that is between its extremes, so that no spike is missing. */
export function SparkPicture({ spark, colour }: { readonly spark: Spark; readonly colour: string }) {
  const numbers = [...spark.min, ...spark.max].filter(Number.isFinite);
  const low = Math.min(...numbers);
  const high = Math.max(...numbers);
  const since = spark.nanSince;
  return (
    <span class="spark">
      {numbers.length === 0 ? null : (
        <svg width={WIDTH} height={HEIGHT} role="img" aria-label={`From ${low} to ${high}`}>
          <path d={pathOf(spark, low, high)} fill={colour} stroke={colour} stroke-width="1" />
        </svg>
      )}
      {since === null ? null : (
        <span class="spark-nan odd" title={`NaN since step ${textOfCount(since)}${spark.isExact ? "" : " or a little later"}`}>
          NaN since {textOfCount(since)}
        </span>
      )}
    </span>
  );
}

/** One closed piece for each stretch of buckets that have numbers. Pure. */
export function pathOf(spark: Spark, low: number, high: number): string {
  const first = spark.x[0] ?? 0;
  const span = (spark.x.at(-1) ?? first) - first || 1;
  const height = high - low || 1;
  const across = (x: number) => (((x - first) / span) * (WIDTH - 2) + 1).toFixed(1);
  const down = (value: number) => {
    const clipped = Math.min(high, Math.max(low, value));
    return (HEIGHT - 2 - ((clipped - low) / height) * (HEIGHT - 4)).toFixed(1);
  };
  const pieces: string[] = [];
  for (let at = 0; at < spark.x.length; ) {
    if (Number.isNaN(spark.min[at] ?? Number.NaN)) {
      at += 1;
      continue;
    }
    let end = at;
    while (end < spark.x.length && !Number.isNaN(spark.min[end] ?? Number.NaN)) end += 1;
    const there: string[] = [];
    const back: string[] = [];
    for (let one = at; one < end; one += 1) {
      const x = across(spark.x[one] ?? 0);
      there.push(`${x} ${down(spark.max[one] ?? low)}`);
      back.unshift(`${x} ${down(spark.min[one] ?? low)}`);
    }
    pieces.push(`M${[...there, ...back].join("L")}Z`);
    at = end;
  }
  return pieces.join("");
}
