import type { Run } from "../../data/types.ts";
import { textOfValue } from "../../data/values.ts";
import { colourOf } from "../../state/colours.ts";
import { addressOf } from "../../state/routes.ts";
import { useServices } from "../../state/services.ts";
import { type FieldAxis, marksOf, placeOn, valueOf } from "./axes.ts";

interface ScatterProps {
  readonly runs: readonly Run[];
  readonly x: FieldAxis;
  readonly y: FieldAxis;
  readonly highlighted: string | null;
  readonly onHover: (run: string | null) => void;
}

const WIDTH = 640;
const HEIGHT = 340;
const LEFT = 70;
const BOTTOM = 34;
const EDGE = 12;

/** A point for each run that has both values; the others are counted. */
export function Scatter({ runs, x, y, highlighted, onHover }: ScatterProps) {
  const { address, theme } = useServices();
  const dark = theme.shade.value === "dark";
  const across = (place: number) => LEFT + place * (WIDTH - LEFT - EDGE);
  const down = (place: number) => EDGE + (1 - place) * (HEIGHT - BOTTOM - EDGE);
  const points = runs.flatMap((run) => {
    const at = placeOn(x, valueOf(run, x.field));
    const up = placeOn(y, valueOf(run, y.field));
    return at === null || up === null ? [] : [{ run, cx: across(at), cy: down(up) }];
  });
  const missing = runs.length - points.length;
  return (
    <figure class="scatter">
      <svg viewBox={`0 0 ${WIDTH} ${HEIGHT}`} role="img" aria-label={`${y.field} over ${x.field} of ${points.length} runs`}>
        {marksOf(x, 6).map((mark) => (
          <g key={mark.place}>
            <line class="grid-line" x1={across(mark.place)} x2={across(mark.place)} y1={down(1)} y2={down(0)} />
            <text class="axis-mark" x={across(mark.place)} y={HEIGHT - BOTTOM + 14} text-anchor="middle">
              {mark.text.slice(0, 12)}
            </text>
          </g>
        ))}
        {marksOf(y, 6).map((mark) => (
          <g key={mark.place}>
            <line class="grid-line" x1={across(0)} x2={across(1)} y1={down(mark.place)} y2={down(mark.place)} />
            <text class="axis-mark" x={LEFT - 6} y={down(mark.place) + 4} text-anchor="end">
              {mark.text.slice(0, 10)}
            </text>
          </g>
        ))}
        <text class="axis-title" x={across(0.5)} y={HEIGHT - 4} text-anchor="middle">
          {x.field}
        </text>
        {points.map(({ run, cx, cy }) => (
          <circle
            key={run.run}
            cx={cx}
            cy={cy}
            r={run.run === highlighted ? 7 : 4.5}
            fill={colourOf(run.run, dark)}
            fill-opacity={highlighted === null || run.run === highlighted ? 0.85 : 0.25}
            onPointerEnter={() => onHover(run.run)}
            onPointerLeave={() => onHover(null)}
            onClick={() => address.go(addressOf(run.workspace, run.project, run.run))}
          >
            <title>{`${run.name}: ${textOfValue(valueOf(run, x.field))}, ${textOfValue(valueOf(run, y.field))}`}</title>
          </circle>
        ))}
      </svg>
      <figcaption class="soft">
        {points.length} runs{missing === 0 ? "" : `; ${missing} have no number for one of the two`}
      </figcaption>
    </figure>
  );
}
