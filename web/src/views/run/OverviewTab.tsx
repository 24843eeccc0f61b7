import type { ComponentChildren } from "preact";

import { valuesOf } from "../../data/details.ts";
import type { RunDetail } from "../../data/types.ts";
import { textOfAge, textOfCount, textOfDuration, textOfMoment, textOfValue } from "../../data/values.ts";
import { useLoaded } from "../../state/loading.ts";
import { addressOf } from "../../state/routes.ts";
import { useServices } from "../../state/services.ts";
import { nowMs } from "../../ui/Clock.ts";
import { Link } from "../../ui/Link.tsx";
import { useRun } from "./context.ts";
import { Notes } from "./Notes.tsx";
import { RunTags } from "./RunTags.tsx";
import { Writers } from "./Writers.tsx";

/** What a person wants to know first: how it ended, when, where, by whom, and what was noted. */
export function OverviewTab() {
  const { detail } = useRun();
  return (
    <div class="overview">
      <section class="overview-facts" aria-label="Facts">
        {detail.run.message === "" ? null : (
          <div class={detail.run.status === "finished" ? "message" : "message message-bad"}>
            <h2>Message</h2>
            <pre tabIndex={0}>{detail.run.message}</pre>
          </div>
        )}
        <Facts detail={detail} />
        <Others />
        <Writers />
      </section>
      <section class="overview-notes" aria-label="Tags and notes">
        <RunTags />
        <Notes />
      </section>
    </div>
  );
}

function Facts({ detail }: { readonly detail: RunDetail }) {
  const { run } = detail;
  return (
    <dl class="facts">
      <Fact name="Started">
        <Moment at={run.started_at} />
      </Fact>
      <Fact name="Ended">{run.ended_at === null ? "not yet" : <Moment at={run.ended_at} />}</Fact>
      <Fact name="Duration">{textOfDuration(durationOf(detail))}</Fact>
      <Fact name="Last step">{detail.last_step === null ? "" : textOfCount(detail.last_step)}</Fact>
      <Fact name="User">{run.user}</Fact>
      <Fact name="Host">{run.host}</Fact>
      <Fact name="Project">
        <Link to={addressOf(run.workspace, run.project)}>
          {run.workspace}/{run.project}
        </Link>
      </Fact>
      <Fact name="Experiment">{run.experiment}</Fact>
      <Fact name="Group">{run.group}</Fact>
      <Fact name="Job type">{run.job_type}</Fact>
      <Fact name="Created">
        <Moment at={run.created_at} />
      </Fact>
      <Fact name="Changed">
        <Moment at={run.updated_at} />
      </Fact>
      <Fact name="Id">
        <code>{run.run}</code>
      </Fact>
      {run.points_dropped === 0 ? null : (
        <Fact name="Lost points">
          <span class="odd">{textOfCount(run.points_dropped)} that its client had to drop</span>
        </Fact>
      )}
    </dl>
  );
}

/** Of a running run up to now, so that it moves every second. */
function durationOf({ run }: RunDetail): number {
  if (run.status !== "running") return run.duration_s;
  return Math.max(run.duration_s, (nowMs.value - Date.parse(run.started_at)) / 1000);
}

function Fact({ name, children }: { readonly name: string; readonly children: ComponentChildren }) {
  if (children === "" || children === null) return null;
  return (
    <div>
      <dt>{name}</dt>
      <dd>{children}</dd>
    </div>
  );
}

function Moment({ at }: { readonly at: string }) {
  return (
    <time dateTime={at}>
      {textOfMoment(at)} <span class="soft">({textOfAge(at, nowMs.value)})</span>
    </time>
  );
}

/** Values that are no parameters: few, and often the result. */
function Others() {
  const { client } = useServices();
  const { run, when, everyMs } = useRun();
  const loaded = useLoaded((signal) => valuesOf(client, run, "others", when, signal), JSON.stringify([run, when]), everyMs);
  const values = loaded.value.value ?? [];
  if (values.length === 0) return null;
  return (
    <section>
      <h2>Values</h2>
      <dl class="facts facts-wide">
        {values.slice(0, MOST_VALUES).map(({ name, value }) => (
          <Fact key={name} name={name}>
            {textOfValue(value) === "" ? <span class="soft">empty</span> : textOfValue(value)}
          </Fact>
        ))}
      </dl>
      {values.length > MOST_VALUES ? (
        <p class="soft">and {textOfCount(values.length - MOST_VALUES)} more, in the tab of parameters</p>
      ) : null}
    </section>
  );
}

const MOST_VALUES = 40;
