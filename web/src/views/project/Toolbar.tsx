import type { ComponentChildren } from "preact";

import { AxisSelect } from "../../chart/AxisSelect.tsx";
import type { ChartView } from "../../chart/view.ts";
import { textOfDuration, textOfNumber } from "../../data/values.ts";
import { Menu } from "../../ui/Menu.tsx";
import { lengthAt, placeOfLength, SMOOTH_STEPS } from "./charting.ts";
import type { ProjectState } from "./state.ts";

interface ToolbarProps {
  readonly state: ProjectState;
  readonly view: ChartView;
  readonly metrics: readonly string[];
  /** Fields to group by: `param.lr`, `tag`, ... */
  readonly fields: readonly string[];
  readonly children?: ComponentChildren;
}

const SIDES = [
  ["both", "Both"],
  ["table", "Table"],
  ["charts", "Charts"],
] as const;

/** How all charts of the view are drawn. */
export function Toolbar({ state, view, metrics, fields, children }: ToolbarProps) {
  return (
    <div class="toolbar" role="toolbar" aria-label="How charts are drawn">
      <input
        type="search"
        aria-label="Find charts"
        placeholder="Find charts"
        value={state.search.value}
        onInput={(event) => state.search.set(event.currentTarget.value, "replace")}
      />
      <AxisSelect state={state} view={view} metrics={metrics} />
      <Smoothing state={state} view={view} />
      <Check label="Log y" value={state.yLog.value} onChange={(on) => state.yLog.set(on)} title="A logarithmic y axis" />
      <Check label="Log x" value={state.xLog.value} onChange={(on) => state.xLog.set(on)} title="A logarithmic x axis" />
      <Check
        label="Clip outliers"
        value={state.outliers.value}
        onChange={(on) => state.outliers.set(on)}
        title="Scale the y axis to most of the points, and say at its ends how many are outside"
      />
      <Menu label={state.grouping.value.length === 0 ? "Group" : `Grouped by ${state.grouping.value.join(", ")}`} title="Draw means of groups of runs">
        <GroupMenu state={state} fields={fields} />
      </Menu>
      {state.zoom.value === null ? null : (
        <button type="button" class="plain-button" onClick={() => state.zoom.set(null)}>
          Whole axis
        </button>
      )}
      <span class="sides" role="group" aria-label="What is shown">
        {SIDES.map(([side, name]) => (
          <button key={side} type="button" class="chip" aria-pressed={state.side.value === side} onClick={() => state.side.set(side)}>
            {name}
          </button>
        ))}
      </span>
      {children}
    </div>
  );
}

function Smoothing({ state, view }: { readonly state: ProjectState; readonly view: ChartView }) {
  const extent = view.extent.value;
  const axisLength = extent === null ? 0 : extent.to - extent.from;
  const length = state.smoothing.value;
  const isTime = ["time", "relative", "active"].includes(state.x.value);
  const text = length === 0 ? "off" : isTime ? textOfDuration(length / 1e6) : textOfNumber(length, 3);
  return (
    <label title="An average over what came before, by distance on the axis; the curve itself stays behind it">
      Smooth{" "}
      <input
        type="range"
        min="0"
        max={SMOOTH_STEPS}
        aria-label="Smoothing"
        aria-valuetext={text}
        value={placeOfLength(length, axisLength)}
        disabled={axisLength === 0}
        onInput={(event) => state.smoothing.set(lengthAt(Number(event.currentTarget.value), axisLength), "replace")}
      />{" "}
      <span class="soft">{text}</span>
    </label>
  );
}

interface CheckProps {
  readonly label: string;
  readonly title: string;
  readonly value: boolean;
  readonly onChange: (on: boolean) => void;
}

function Check({ label, title, value, onChange }: CheckProps) {
  return (
    <label title={title}>
      <input type="checkbox" checked={value} onChange={(event) => onChange(event.currentTarget.checked)} /> {label}
    </label>
  );
}

/** The API takes so many fields. */
const MOST_FIELDS = 4;

function GroupMenu({ state, fields }: { readonly state: ProjectState; readonly fields: readonly string[] }) {
  const chosen = state.group.value;
  const all = [...new Set([...chosen, ...fields])];
  if (state.isPast.value) return <p class="soft">There are no groups of a past moment. Choose Now to group runs.</p>;
  return (
    <fieldset class="group-menu">
      <legend>One curve for each combination of</legend>
      {all.map((field) => {
        const isChosen = chosen.includes(field);
        return (
          <label key={field} class="ellipsis">
            <input
              type="checkbox"
              checked={isChosen}
              disabled={!isChosen && chosen.length >= MOST_FIELDS}
              onChange={() => state.group.set(isChosen ? chosen.filter((one) => one !== field) : [...chosen, field])}
            />{" "}
            {field}
          </label>
        );
      })}
    </fieldset>
  );
}
