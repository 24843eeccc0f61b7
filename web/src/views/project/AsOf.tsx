import { useSignal } from "@preact/signals";
import { useEffect, useMemo, useRef } from "preact/hooks";

import { projectsOf } from "../../data/server.ts";
import { textOfMoment } from "../../data/values.ts";
import { useLoaded } from "../../state/loading.ts";
import { useServices } from "../../state/services.ts";
import type { ProjectState } from "./state.ts";

interface AsOfProps {
  readonly workspace: string;
  readonly project: string;
  readonly state: ProjectState;
}

/** Places of the slider. */
const STEPS = 1000;
/** A moment counts when the slider rests for so long, in milliseconds. */
const REST_MS = 250;

/** Shows the view as it was: a button, then a slider from the beginning of the project to now. */
export function AsOf(props: AsOfProps) {
  const { asOf, isPast } = props.state;
  if (isPast.value) return <Moment {...props} />;
  return (
    <button
      type="button"
      class="plain-button"
      title="Show everything as it was at an earlier moment"
      onClick={() => asOf.set(new Date().toISOString())}
    >
      History
    </button>
  );
}

function Moment({ workspace, project, state }: AsOfProps) {
  const { client } = useServices();
  // Without a beginning there is no slider, but the field for a moment is there.
  const projects = useLoaded((signal) => projectsOf(client, workspace, signal), workspace).value.value;
  const begins = projects?.find((one) => one.project === project)?.created_at ?? null;
  const low = begins === null ? null : Date.parse(begins);
  const ends = useMemo(() => Date.now(), []);
  const dragged = useSignal<number | null>(null);
  const timer = useRef(0);
  useEffect(() => () => clearTimeout(timer.current), []);
  const at = Date.parse(state.asOf.value);
  const place = low === null || Number.isNaN(low + at) ? null : Math.round(((at - low) / (ends - low)) * STEPS);
  const shown = dragged.value ?? at;
  const move = (to: number) => {
    if (low === null) return;
    const moment = low + (to / STEPS) * (ends - low);
    dragged.value = moment;
    clearTimeout(timer.current);
    timer.current = window.setTimeout(() => {
      dragged.value = null;
      state.asOf.set(new Date(moment).toISOString());
    }, REST_MS);
  };
  return (
    <div class="as-of" role="group" aria-label="Show everything as it was">
      <strong>As of {Number.isNaN(shown) ? state.asOf.value : textOfMoment(new Date(shown).toISOString())}</strong>
      {place === null ? null : (
        <input
          type="range"
          min="0"
          max={STEPS}
          value={place}
          aria-label="The moment that is shown"
          aria-valuetext={textOfMoment(new Date(shown).toISOString())}
          onInput={(event) => move(Number(event.currentTarget.value))}
        />
      )}
      <input
        type="datetime-local"
        step="1"
        aria-label="The moment that is shown, to the second"
        value={localText(at)}
        onChange={(event) => {
          const moment = new Date(event.currentTarget.value);
          if (!Number.isNaN(moment.getTime())) state.asOf.set(moment.toISOString());
        }}
      />
      <button type="button" class="main" onClick={() => state.asOf.set("")}>
        Now
      </button>
    </div>
  );
}

/** As a field for local times wants it. */
function localText(ms: number): string {
  if (Number.isNaN(ms)) return "";
  const date = new Date(ms - new Date(ms).getTimezoneOffset() * 60_000);
  return date.toISOString().slice(0, 19);
}
