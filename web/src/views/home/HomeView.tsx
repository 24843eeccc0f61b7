import { messageOf } from "../../data/problem.ts";
import { newestRuns, projectsOf } from "../../data/server.ts";
import type { Project, Run } from "../../data/types.ts";
import { textOfAge, textOfCount } from "../../data/values.ts";
import { useLoaded } from "../../state/loading.ts";
import { addressOf } from "../../state/routes.ts";
import { useServices } from "../../state/services.ts";
import { Link } from "../../ui/Link.tsx";
import { Notice } from "../../ui/Notice.tsx";
import { Status } from "../../ui/Status.tsx";
import { Health } from "./Health.tsx";
import { HowToLog } from "./HowToLog.tsx";

const RECENT = 12;
const AGAIN_MS = 5000;

/** Projects and recent runs, of one workspace or of all; how the server is doing; how to log to it. */
export function HomeView({ workspace }: { readonly workspace: string | null }) {
  const { client } = useServices();
  const projects = useLoaded((signal) => projectsOf(client, workspace, signal), `projects ${workspace}`, AGAIN_MS);
  const runs = useLoaded((signal) => newestRuns(client, workspace, RECENT, signal), `runs ${workspace}`, AGAIN_MS);
  const error = projects.error.value ?? runs.error.value;
  return (
    <main class="plain" id="view">
      <h1>{workspace ?? "All projects"}</h1>
      {error === null ? null : <Notice kind="bad">{messageOf(error)}</Notice>}
      <div class="home">
        <div>
          {projects.value.value === null ? null : <Projects projects={projects.value.value} />}
          {runs.value.value === null ? null : <Recent runs={runs.value.value} />}
        </div>
        <div>
          <HowToLog />
          <Health />
        </div>
      </div>
    </main>
  );
}

function Projects({ projects }: { readonly projects: readonly Project[] }) {
  const now = Date.now();
  if (projects.length === 0) return <Notice kind="quiet">There is no project yet: the lines beside this make one.</Notice>;
  return (
    <section class="home-part" aria-labelledby="projects">
      <h2 id="projects">Projects</h2>
      <ul class="home-list">
        {projects.map((one) => (
          <li key={`${one.workspace}/${one.project}`}>
            <Link to={addressOf(one.workspace, one.project)} class="home-name">
              {one.workspace}/{one.project}
            </Link>
            <span class="soft">
              {textOfCount(one.runs)} {one.runs === 1 ? "run" : "runs"}
              {one.updated_at === null ? "" : `, ${textOfAge(one.updated_at, now)}`}
            </span>
            {one.description === "" ? null : <span class="home-about soft">{one.description}</span>}
          </li>
        ))}
      </ul>
    </section>
  );
}

function Recent({ runs }: { readonly runs: readonly Run[] }) {
  const now = Date.now();
  if (runs.length === 0) return null;
  return (
    <section class="home-part" aria-labelledby="recent">
      <h2 id="recent">Recent runs</h2>
      <ul class="home-list">
        {runs.map((run) => (
          <li key={run.run}>
            <Link to={addressOf(run.workspace, run.project, run.run)} class="home-name" title={run.run}>
              {run.name === "" ? run.run : run.name}
            </Link>
            <Status status={run.status} message={run.message} />
            <span class="soft">
              {run.workspace}/{run.project}, {textOfAge(run.created_at, now)}
            </span>
          </li>
        ))}
      </ul>
    </section>
  );
}
