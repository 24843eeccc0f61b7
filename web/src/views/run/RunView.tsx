import type { ComponentType } from "preact";
import { useEffect, useMemo } from "preact/hooks";

import { detailOf, keyOf } from "../../data/details.ts";
import { messageOf, Problem } from "../../data/problem.ts";
import type { RunDetail } from "../../data/types.ts";
import { useLoaded } from "../../state/loading.ts";
import { useServices } from "../../state/services.ts";
import { Notice } from "../../ui/Notice.tsx";
import { type Tab, Tabs } from "../../ui/Tabs.tsx";
import { type OfRun, RunContext } from "./context.ts";
import { ArtifactsTab } from "./artifacts/ArtifactsTab.tsx";
import { ChartsTab, SystemTab } from "./ChartsTab.tsx";
import { ConsoleTab } from "./console/ConsoleTab.tsx";
import { EnvironmentTab } from "./EnvironmentTab.tsx";
import { FilesTab } from "./files/FilesTab.tsx";
import { HistoryTab } from "./HistoryTab.tsx";
import { MediaTab } from "./media/MediaTab.tsx";
import { MetricsTab } from "./MetricsTab.tsx";
import { OverviewTab } from "./OverviewTab.tsx";
import { ParametersTab } from "./ParametersTab.tsx";
import { RunHead } from "./RunHead.tsx";
import { RunViewState, type TabName } from "./state.ts";

interface RunViewProps {
  readonly workspace: string;
  readonly project: string;
  readonly run: string;
}

/** How often a running run is read again, in milliseconds. */
const LIVE_MS = 2000;
/** How often one is that ended: somebody may rename it, or go on with it. */
const RESTING_MS = 30_000;
const COMPONENTS: Readonly<Record<TabName, ComponentType>> = {
  overview: OverviewTab,
  charts: ChartsTab,
  system: SystemTab,
  metrics: MetricsTab,
  parameters: ParametersTab,
  environment: EnvironmentTab,
  console: ConsoleTab,
  media: MediaTab,
  files: FilesTab,
  artifacts: ArtifactsTab,
  history: HistoryTab,
};

/** All that is known of one run, in tabs. */
export function RunView({ run }: RunViewProps) {
  const { client, address } = useServices();
  const state = useMemo(() => new RunViewState(address), []);
  const asOf = state.asOf.value === "" ? null : state.asOf.value;
  const loaded = useLoaded((signal) => detailOf(client, run, { asOf }, signal), JSON.stringify([run, asOf]));
  const key = useLoaded((signal) => keyOf(client, signal), "");
  const detail = loaded.value.value;
  const isRunning = detail?.run.status === "running";
  const everyMs = asOf === null ? (isRunning ? LIVE_MS : null) : null;
  const pause = detail === null || isRunning ? LIVE_MS : RESTING_MS;
  useEffect(() => loaded.repeat(asOf === null ? pause : null), [loaded, pause, asOf]);
  useEffect(() => {
    document.title = `${detail?.run.name ?? run} · Runstream`;
  }, [detail?.run.name, run]);

  const error = loaded.error.value;
  if (detail === null) {
    return (
      <main class="run" id="view">
        {error === null ? <p class="waiting">Loading the run</p> : <Missing error={error} run={run} />}
      </main>
    );
  }
  const shared: OfRun = {
    state,
    run,
    detail,
    when: { asOf },
    everyMs,
    mayEdit: asOf === null && key.value.value?.may_write === true,
    refresh: (position) => loaded.refresh((signal) => detailOf(client, run, { asOf, waitFor: position }, signal)),
  };
  const tab = state.tab.value;
  const Shown = COMPONENTS[tab];
  return (
    <RunContext.Provider value={shared}>
      <main class="run" id="view">
        <RunHead />
        {error === null ? null : <Notice kind="warn">What is shown may be old. {messageOf(error)}</Notice>}
        <Tabs label="Parts of the run" tabs={tabsOf(detail)} current={tab} parameter="tab" />
        <div class="run-tab" key={tab}>
          <Shown />
        </div>
      </main>
    </RunContext.Provider>
  );
}

function Missing({ error, run }: { readonly error: unknown; readonly run: string }) {
  const isMissing = error instanceof Problem && error.status === 404;
  return (
    <Notice kind={isMissing ? "warn" : "bad"}>
      {isMissing ? `There is no run ${run} that this key may read. What was just logged comes within a second.` : messageOf(error)}
    </Notice>
  );
}

function tabsOf(detail: RunDetail): readonly Tab[] {
  return [
    { id: "overview", title: "Overview" },
    { id: "charts", title: "Charts" },
    { id: "metrics", title: "Metrics", count: detail.metrics },
    { id: "parameters", title: "Parameters", count: detail.parameters },
    { id: "environment", title: "Environment" },
    { id: "system", title: "System" },
    { id: "console", title: "Console" },
    { id: "media", title: "Media" },
    { id: "files", title: "Files", count: detail.assets },
    { id: "artifacts", title: "Artifacts" },
    { id: "history", title: "History" },
  ];
}
