import type { ComponentChildren } from "preact";

import type { OutputLine, Search } from "../../../data/output.ts";
import { type Piece, piecesOf } from "../../../ui/ansi.ts";
import { useRun } from "../context.ts";
import { cutAt, spansOf } from "./marks.ts";

interface ConsoleLineProps {
  readonly line: OutputLine | undefined;
  readonly number: number;
  /** What is searched, to mark where it stands. */
  readonly search: Search | null;
  readonly onPick: () => void;
}

const CLOCK = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit", fractionalSecondDigits: 3 });

/** A line with its number, which opens it. */
export function ConsoleLine({ line, number, search, onPick }: ConsoleLineProps) {
  const { state } = useRun();
  const isChosen = state.line.value === number;
  const pieces = piecesOf(line?.text ?? "");
  const marks = search === null ? [] : spansOf(pieces.map(({ text }) => text).join(""), search);
  return (
    <div class={`console-line ${isChosen ? "console-chosen" : ""} ${line?.stream === "stderr" ? "console-stderr" : ""}`}>
      <button type="button" class="console-number" tabIndex={-1} aria-label={`Line ${number}`} onClick={onPick}>
        {number}
      </button>
      {state.times.value ? <time dateTime={line?.at}>{line === undefined ? "" : CLOCK.format(Date.parse(line.at))}</time> : null}
      <span class="console-text">
        {cutAt(pieces, marks).map(({ piece, isMarked }, at) => (
          <Shown key={at} piece={piece} isMarked={isMarked}>
            {piece.text}
          </Shown>
        ))}
        {line?.cut === true ? <span class="soft"> (the line goes on)</span> : null}
      </span>
    </div>
  );
}

function Shown({ piece, isMarked, children }: { readonly piece: Piece; readonly isMarked: boolean; readonly children: ComponentChildren }) {
  const look = [piece.colour === null ? "" : `ansi-${piece.colour}`, piece.isBold ? "ansi-bold" : "", piece.isDim ? "soft" : ""].join(" ");
  if (isMarked) return <mark>{children}</mark>;
  return look.trim() === "" ? <>{children}</> : <span class={look}>{children}</span>;
}
