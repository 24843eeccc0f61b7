import type { Writer } from "../../data/types.ts";
import { textOfAge, textOfDuration, textOfMoment } from "../../data/values.ts";
import { nowMs } from "../../ui/Clock.ts";
import { SmallTable } from "../../ui/SmallTable.tsx";
import { useRun } from "./context.ts";

/** The processes that wrote the run: their rank, whether they are still there, and how far their clock is off. */
export function Writers() {
  const { detail } = useRun();
  const writers = [...detail.writers].sort(byRank);
  if (writers.length === 0) return null;
  const shown = writers.slice(0, MOST);
  return (
    <section>
      <h2>{writers.length === 1 ? "Writer" : `${writers.length} writers`}</h2>
      <SmallTable label="Writers" titles={["Rank", "State", "Last sign of life", "Clock", "Id"]}>
        {shown.map((writer) => (
          <WriterRow key={writer.writer} writer={writer} />
        ))}
      </SmallTable>
      {writers.length > MOST ? <p class="soft">and {writers.length - MOST} more</p> : null}
    </section>
  );
}

const MOST = 200;

function WriterRow({ writer }: { readonly writer: Writer }) {
  const seen = writer.last_seen_at;
  return (
    <tr>
      <td>{writer.rank ?? ""}</td>
      <td>{writer.ended ? "ended" : "open"}</td>
      <td>
        {seen === null ? (
          <span class="soft">not known</span>
        ) : (
          <time dateTime={seen} title={textOfMoment(seen)}>
            {textOfAge(seen, nowMs.value)}
          </time>
        )}
      </td>
      <td>{clockText(writer.clock_ahead_s)}</td>
      <td>
        <code title={writer.writer}>{writer.writer.slice(0, 12)}</code>
      </td>
    </tr>
  );
}

function clockText(aheadS: number | null) {
  if (aheadS === null) return <span class="soft">no deviation</span>;
  const text = textOfDuration(Math.abs(aheadS));
  return <span class="odd">{aheadS > 0 ? `${text} ahead` : `${text} behind`}</span>;
}

function byRank(a: Writer, b: Writer): number {
  return (a.rank ?? Infinity) - (b.rank ?? Infinity) || (a.writer < b.writer ? -1 : 1);
}
