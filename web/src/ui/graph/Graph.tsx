import { useEffect, useRef } from "preact/hooks";

import { Link } from "../Link.tsx";
import { type GraphEdge, type GraphNode, layoutOf, type Spot } from "./layout.ts";

export interface ShownNode extends GraphNode {
  readonly title: string;
  readonly about: string;
  readonly kind: string;
  /** Null: there is no page of it. */
  readonly to: string | null;
  readonly isStart: boolean;
}

export interface ShownEdge extends GraphEdge {
  readonly kind: string;
}

interface GraphProps {
  readonly label: string;
  readonly nodes: readonly ShownNode[];
  readonly edges: readonly ShownEdge[];
}

/** In CSS pixels. */
const BOX = { width: 170, height: 46 };
const GAP = { x: 60, y: 14 };
const MARGIN = 12;

/** A graph whose data go from left to right: boxes that are links, lines between them. */
export function Graph({ label, nodes, edges }: GraphProps) {
  const { spots, columns, rows } = layoutOf(nodes, edges);
  const box = useRef<HTMLDivElement>(null);
  const width = columns * (BOX.width + GAP.x) - GAP.x + 2 * MARGIN;
  const height = rows * (BOX.height + GAP.y) - GAP.y + 2 * MARGIN;
  const start = nodes.find((node) => node.isStart)?.id ?? "";
  useEffect(() => {
    const spot = spots.get(start);
    const element = box.current;
    if (spot === undefined || element === null) return;
    element.scrollLeft = leftOf(spot) + BOX.width / 2 - element.clientWidth / 2;
    element.scrollTop = topOf(spot) + BOX.height / 2 - element.clientHeight / 2;
  }, [start, nodes.length]);
  return (
    <div ref={box} class="graph" role="group" aria-label={label} tabIndex={0}>
      <div class="graph-space" style={{ width: `${width}px`, height: `${height}px` }}>
        <svg width={width} height={height} aria-hidden="true">
          {edges.map(({ from, to, kind }) => {
            const [a, b] = [spots.get(from), spots.get(to)];
            if (a === undefined || b === undefined) return null;
            return <path key={`${from} ${to} ${kind}`} class={`graph-line graph-line-${kind}`} d={curve(a, b)} />;
          })}
        </svg>
        <ul>
          {nodes.map((node) => (
            <Box key={node.id} node={node} spot={spots.get(node.id) ?? { column: 0, row: 0 }} />
          ))}
        </ul>
      </div>
    </div>
  );
}

function Box({ node, spot }: { readonly node: ShownNode; readonly spot: Spot }) {
  const text = (
    <>
      <span class="ellipsis graph-title">{node.title}</span>
      <span class="ellipsis soft">{node.about}</span>
    </>
  );
  const name = `graph-box graph-box-${node.kind} ${node.isStart ? "graph-box-start" : ""}`;
  const hint = `${node.title}, ${node.about}`;
  return (
    <li style={{ left: `${leftOf(spot)}px`, top: `${topOf(spot)}px`, width: `${BOX.width}px`, height: `${BOX.height}px` }}>
      {node.to === null ? (
        <span class={name} title={hint}>
          {text}
        </span>
      ) : (
        <Link to={node.to} class={name} title={hint}>
          {text}
        </Link>
      )}
    </li>
  );
}

function leftOf({ column }: Spot): number {
  return MARGIN + column * (BOX.width + GAP.x);
}

function topOf({ row }: Spot): number {
  return MARGIN + row * (BOX.height + GAP.y);
}

function curve(a: Spot, b: Spot): string {
  const [x1, y1] = [leftOf(a) + BOX.width, topOf(a) + BOX.height / 2];
  const [x2, y2] = [leftOf(b), topOf(b) + BOX.height / 2];
  const bend = Math.max(30, Math.abs(x2 - x1) / 2);
  return `M${x1},${y1} C${x1 + bend},${y1} ${x2 - bend},${y2} ${x2},${y2}`;
}
