import type { OutputLine } from "../../../data/output.ts";
import { textOfMoment } from "../../../data/values.ts";
import { plainOf } from "../../../ui/ansi.ts";
import { Copy } from "../../../ui/Copy.tsx";
import { Link } from "../../../ui/Link.tsx";
import { useRun } from "../context.ts";

/** A line alone, with all of its text, and the way to what happened at its time. */
export function WholeLine({ line, onClose }: { readonly line: OutputLine; readonly onClose: () => void }) {
  const { state } = useRun();
  const text = plainOf(line.text);
  return (
    <section class="event-whole" aria-label={`Line ${line.number}`}>
      <div class="section-head">
        <h2>Line {line.number}</h2>
        <time dateTime={line.at}>{textOfMoment(line.at)}</time>
        <span class="soft">{line.stream}</span>
        <code title="The writer">{line.writer.slice(0, 12)}</code>
        <Copy title={`line ${line.number}`} text={() => text} />
        <Link to={state.toCharts(line.at)}>Charts around this time</Link>
        <button type="button" class="quiet" onClick={onClose}>
          Close
        </button>
      </div>
      <pre class="whole-line" tabIndex={0}>
        {text}
      </pre>
    </section>
  );
}
