import type { ComponentChildren, VNode } from "preact";
import { useMemo } from "preact/hooks";

import { type Block, blocksOf, type Item } from "./blocks.ts";
import type { Inline } from "./inline.ts";

/** Longer texts are shown as they are, in characters: making elements of them would hold up the page. */
const MOST_CHARS = 200_000;

/** A text in Markdown as elements. HTML in it is shown as text; links lead to http, https and mailto only. */
export function Markdown({ text }: { readonly text: string }): VNode {
  const blocks = useMemo(() => (text.length > MOST_CHARS ? null : blocksOf(text)), [text]);
  return <div class="markdown">{blocks === null ? <pre>{text}</pre> : blocks.map(shownBlock)}</div>;
}

function shownBlock(block: Block, key: number): ComponentChildren {
  switch (block.kind) {
    case "heading":
      return heading(block.level, shownParts(block.parts), key);
    case "paragraph":
      return <p key={key}>{shownParts(block.parts)}</p>;
    case "code":
      return (
        <pre key={key} tabIndex={0}>
          <code>{block.text}</code>
        </pre>
      );
    case "quote":
      return <blockquote key={key}>{block.blocks.map(shownBlock)}</blockquote>;
    case "rule":
      return <hr key={key} />;
    case "list":
      return block.start === null ? (
        <ul key={key}>{block.items.map(shownItem)}</ul>
      ) : (
        <ol key={key} start={block.start}>
          {block.items.map(shownItem)}
        </ol>
      );
    case "table":
      return shownTable(block, key);
  }
}

/** Headings of a note stand below those of the page, whose third level is the note's own. */
function heading(level: number, parts: ComponentChildren, key: number): VNode {
  if (level <= 1) return <h3 key={key}>{parts}</h3>;
  if (level === 2) return <h4 key={key}>{parts}</h4>;
  return level === 3 ? <h5 key={key}>{parts}</h5> : <h6 key={key}>{parts}</h6>;
}

function shownItem({ isDone, blocks }: Item, key: number): VNode {
  const [only] = blocks;
  // A paragraph in each item would double the distance between lines of a simple list.
  const isShort = blocks.length === 1 && only?.kind === "paragraph";
  return (
    <li key={key}>
      {isDone === null ? null : <span aria-label={isDone ? "done" : "to do"}>{isDone ? "☑ " : "☐ "}</span>}
      {isShort ? shownParts(only.parts) : blocks.map((block, at) => (at === 0 && block.kind === "paragraph" ? <span key={at}>{shownParts(block.parts)}</span> : shownBlock(block, at)))}
    </li>
  );
}

function shownTable(block: Extract<Block, { kind: "table" }>, key: number): VNode {
  const [head = [], ...rows] = block.rows;
  const name = (column: number) => (block.align[column] === null ? undefined : `align-${block.align[column]}`);
  return (
    <div key={key} class="markdown-table" tabIndex={0} role="group" aria-label="Table">
      <table>
        <thead>
          <tr>
            {head.map((cell, at) => (
              <th key={at} class={name(at)} scope="col">
                {shownParts(cell)}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.map((row, at) => (
            <tr key={at}>
              {row.map((cell, column) => (
                <td key={column} class={name(column)}>
                  {shownParts(cell)}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function shownParts(parts: readonly Inline[]): ComponentChildren {
  return parts.map((part, key) => {
    switch (part.kind) {
      case "text":
        return part.text;
      case "break":
        return <br key={key} />;
      case "code":
        return <code key={key}>{part.text}</code>;
      case "strong":
        return <strong key={key}>{shownParts(part.children)}</strong>;
      case "em":
        return <em key={key}>{shownParts(part.children)}</em>;
      case "strike":
        return <s key={key}>{shownParts(part.children)}</s>;
      case "link":
        return (
          <a key={key} href={part.to} target="_blank" rel="noopener noreferrer nofollow">
            {shownParts(part.children)}
          </a>
        );
    }
  });
}
