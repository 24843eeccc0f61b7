import { assetsOf } from "../../../data/assets.ts";
import { at, type Media, mediaOf, stepsOf } from "../../../data/media.ts";
import { messageOf } from "../../../data/problem.ts";
import { textOfCount } from "../../../data/values.ts";
import { useLoaded } from "../../../state/loading.ts";
import { useServices } from "../../../state/services.ts";
import { Link } from "../../../ui/Link.tsx";
import { Notice } from "../../../ui/Notice.tsx";
import { WhenSeen } from "../../../ui/WhenSeen.tsx";
import { useRun } from "../context.ts";
import { FindField } from "../FindField.tsx";
import { HistogramSteps } from "./HistogramSteps.tsx";
import { Shown } from "./Shown.tsx";

/** What the run logged to be looked at, over its steps: one slider for all. */
export function MediaTab() {
  const { client } = useServices();
  const { run, when, everyMs, state } = useRun();
  const key = JSON.stringify([run, when]);
  const loaded = useLoaded((signal) => assetsOf(client, run, when, signal), key, everyMs);
  const error = loaded.error.value;
  const assets = loaded.value.value;
  const find = state.find.value.trim().toLowerCase();
  const all = mediaOf(assets ?? []);
  const media = all.filter(({ name }) => name.toLowerCase().includes(find));
  return (
    <>
      <FindField label="Find media by their name">
        {assets === null ? null : (
          <span class="soft" aria-live="polite">
            {textOfCount(media.length)} of {textOfCount(all.length)}
          </span>
        )}
        <StepSlider steps={stepsOf(all)} />
      </FindField>
      {error === null ? null : <Notice kind="bad">{messageOf(error)}</Notice>}
      {assets !== null && all.length === 0 ? (
        <p class="waiting">This run has no media. `run.log` takes images, histograms, tables and texts.</p>
      ) : (
        <div class="media">
          {media.map((one) => (
            <WhenSeen key={`${one.kind} ${one.name}`} class={`media-card media-${one.kind}`} label={one.name}>
              {() => <Card media={one} />}
            </WhenSeen>
          ))}
        </div>
      )}
    </>
  );
}

function StepSlider({ steps }: { readonly steps: readonly number[] }) {
  const { state } = useRun();
  const last = steps.length - 1;
  if (last < 1) return null;
  const chosen = state.step.value;
  const place = chosen === null ? last : Math.max(0, steps.findLastIndex((step) => step <= chosen));
  const shown = steps[place] ?? 0;
  const choose = (to: number) => state.step.set(to >= last ? null : (steps[to] ?? null), "replace");
  return (
    <label class="slider">
      <span>Step</span>
      <input
        type="range"
        min={0}
        max={last}
        step={1}
        value={place}
        aria-valuetext={`step ${shown}`}
        onInput={(event) => choose(Number(event.currentTarget.value))}
      />
      <output>{textOfCount(shown)}</output>
      <span class="soft">{chosen === null ? "the newest" : `of ${textOfCount(steps[last] ?? 0)}`}</span>
    </label>
  );
}

/** Files of one step that are shown at once. */
const MOST_SHOWN = 24;

function Card({ media }: { readonly media: Media }) {
  const { state } = useRun();
  const chosen = at(media.steps, state.step.value);
  const assets = [...media.others, ...(chosen?.assets ?? [])];
  const shown = assets.slice(0, MOST_SHOWN);
  return (
    <>
      <h2 class="media-title">
        <span class="ellipsis" title={media.name}>
          {media.name}
        </span>
        {chosen === null ? null : (
          <Link to={state.to("console", chosen.assets[0]?.at ?? "")} class="quiet-link soft" title="Show what was printed then">
            step {textOfCount(chosen.step)}
          </Link>
        )}
      </h2>
      {shown.map((asset, place) => (
        <Shown key={place} asset={asset} kind={media.kind} />
      ))}
      {assets.length > shown.length ? <p class="soft">and {assets.length - shown.length} more of this step, among the files</p> : null}
      {assets.length === 0 ? <p class="soft">nothing up to this step; the first is at {textOfCount(media.steps[0]?.step ?? 0)}</p> : null}
      {media.kind === "histogram" && media.steps.length > 1 ? <HistogramSteps media={media} /> : null}
    </>
  );
}
