import { useSignalEffect } from "@preact/signals";
import type { ComponentType } from "preact";

import { addressOf, type Route, routeOf } from "../state/routes.ts";
import { type Services, ServicesContext } from "../state/services.ts";
import { Lazy } from "../ui/Lazy.tsx";
import { Link } from "../ui/Link.tsx";
import { Notice } from "../ui/Notice.tsx";
import { ProjectView } from "../views/project/ProjectView.tsx";
import { Header } from "./Header.tsx";
import { KeyForm } from "./KeyForm.tsx";
import { Shortcuts } from "./Shortcuts.tsx";

interface Place {
  readonly workspace: string;
  readonly project: string;
}

const loadHome = (): Promise<ComponentType<{ workspace: string | null }>> =>
  import("../views/home/HomeView.tsx").then((module) => module.HomeView);
const loadRun = (): Promise<ComponentType<Place & { run: string }>> =>
  import("../views/run/RunView.tsx").then((module) => module.RunView);
/** Views of a project besides the one of its runs, by their name in the address. */
const PARTS: Readonly<Record<string, () => Promise<ComponentType<Place>>>> = {
  artifacts: () => import("../views/artifacts/ArtifactsView.tsx").then((module) => module.ArtifactsView),
  compare: () => import("../views/compare/CompareView.tsx").then((module) => module.CompareView),
  panels: () => import("../views/panels/PanelsView.tsx").then((module) => module.PanelsView),
  sweep: () => import("../views/sweep/SweepView.tsx").then((module) => module.SweepView),
};
/** Views of the server, by their name in the address. */
const SERVER_PARTS: Readonly<Record<string, () => Promise<ComponentType>>> = {
  api: () => import("../views/api/ApiView.tsx").then((module) => module.ApiView),
};

/** The page: the header, and the view that the address is of. */
export function App({ services }: { readonly services: Services }) {
  const { address, access, theme } = services;
  useSignalEffect(() => {
    document.documentElement.dataset["theme"] = theme.shade.value;
  });
  const route = routeOf(address.path.value);
  return (
    <ServicesContext.Provider value={services}>
      {address.query.value.get("embed") === "1" ? null : <Header route={route} />}
      <Shortcuts />
      {access.isRefused.value ? <KeyForm /> : <View route={route} key={keyOf(route, access.key.value)} />}
    </ServicesContext.Provider>
  );
}

/** A view begins anew where it is of something else. */
function keyOf(route: Route, key: string | null): string {
  return JSON.stringify([route, key]);
}

function View({ route }: { readonly route: Route }) {
  switch (route.view) {
    case "home":
      return <Lazy load={loadHome} props={{ workspace: null }} />;
    case "workspace":
      return <Lazy load={loadHome} props={{ workspace: route.workspace }} />;
    case "project":
      return <ProjectView workspace={route.workspace} project={route.project} />;
    case "run":
      return <Lazy load={loadRun} props={route} />;
    case "part": {
      const load = Object.hasOwn(PARTS, route.part) ? PARTS[route.part] : undefined;
      return load ? <Lazy load={load} props={route} /> : <NotThere />;
    }
    case "server": {
      const load = Object.hasOwn(SERVER_PARTS, route.part) ? SERVER_PARTS[route.part] : undefined;
      return load ? <Lazy load={load} props={{}} /> : <NotThere />;
    }
    case "unknown":
      return <NotThere />;
  }
}

function NotThere() {
  return (
    <main class="plain">
      <Notice kind="warn">
        There is no such page. <Link to={addressOf()}>All projects</Link>
      </Notice>
    </main>
  );
}
