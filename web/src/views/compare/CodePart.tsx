import { type Asset, assetsOf, textOfAsset } from "../../data/assets.ts";
import type { Client } from "../../data/client.ts";
import { diffOf } from "../../data/diff.ts";
import { isPatch } from "../../data/media.ts";
import { messageOf } from "../../data/problem.ts";
import type { Logged, Run } from "../../data/types.ts";
import { textOfValue } from "../../data/values.ts";
import { useLoaded } from "../../state/loading.ts";
import { useServices } from "../../state/services.ts";
import { Notice } from "../../ui/Notice.tsx";
import { PatchLines } from "../../ui/Patch.tsx";
import type { PatchLine } from "../../ui/patch.ts";
import type { CompareState } from "./state.ts";

interface CodePartProps {
  readonly runs: readonly Run[];
  readonly state: CompareState;
}

interface Code {
  /** The program as one text; null: the run did not log it. */
  readonly program: string | null;
  /** What was changed since the commit; null: nothing, or nobody knows. */
  readonly patch: string | null;
}

const FILE_BYTES = 1_000_000;

/** The code of two runs: their commits, and the difference of what was changed since these. */
export function CodePart({ runs, state }: CodePartProps) {
  const before = runs.find(({ run }) => run === state.before.value) ?? runs[0];
  const after = runs.find(({ run }) => run === state.after.value) ?? runs.find((run) => run !== before) ?? before;
  if (before === undefined || after === undefined) return null;
  return (
    <div class="compare-code">
      <div class="bar">
        <Choice label="From" runs={runs} value={before} onChange={(run) => state.before.set(run)} />
        <Choice label="to" runs={runs} value={after} onChange={(run) => state.after.set(run)} />
      </div>
      <Commits before={before} after={after} />
      <Changes key={`${before.run} ${after.run}`} before={before} after={after} />
    </div>
  );
}

interface ChoiceProps {
  readonly label: string;
  readonly runs: readonly Run[];
  readonly value: Run;
  readonly onChange: (run: string) => void;
}

function Choice({ label, runs, value, onChange }: ChoiceProps) {
  return (
    <label>
      {label}{" "}
      <select value={value.run} onChange={(event) => onChange(event.currentTarget.value)}>
        {runs.map(({ run, name }) => (
          <option key={run} value={run}>
            {name}
          </option>
        ))}
      </select>
    </label>
  );
}

const FACTS = ["git.commit", "git.branch", "git.remote", "git.dirty", "command.argv", "python.version"] as const;

function Commits({ before, after }: { readonly before: Run; readonly after: Run }) {
  return (
    <div class="scrolling" tabIndex={0} role="group" aria-label="Origin of the code">
      <table class="small-table">
        <thead>
          <tr>
            <th scope="col">Code</th>
            <th scope="col">{before.name}</th>
            <th scope="col">{after.name}</th>
          </tr>
        </thead>
        <tbody>
          {FACTS.map((name) => {
            const [one, other] = [environment(before, name), environment(after, name)];
            return (
              <tr key={name}>
                <th scope="row">{name}</th>
                <td>{textOfValue(one)}</td>
                <td class={JSON.stringify(one) === JSON.stringify(other) ? "" : "differs"}>{textOfValue(other)}</td>
              </tr>
            );
          })}
        </tbody>
      </table>
    </div>
  );
}

function environment(run: Run, name: string): Logged | undefined {
  return run.columns[`env.${name}`];
}

function Changes({ before, after }: { readonly before: Run; readonly after: Run }) {
  const { client } = useServices();
  const loaded = useLoaded((signal) => Promise.all([codeOf(client, before.run, signal), codeOf(client, after.run, signal)]), "");
  const error = loaded.error.value;
  const found = loaded.value.value;
  if (found === null) return error === null ? null : <Notice kind="bad">{messageOf(error)}</Notice>;
  const [one, other] = found;
  return (
    <>
      <Difference title="Program" before={one.program} after={other.program} />
      <Difference title="Changes since the commit" before={one.patch} after={other.patch} />
      {one.program === null && other.program === null && one.patch === null && other.patch === null ? (
        <p class="waiting">Neither run logged its program or changes since its commit.</p>
      ) : null}
    </>
  );
}

interface DifferenceProps {
  readonly title: string;
  readonly before: string | null;
  readonly after: string | null;
}

function Difference({ title, before, after }: DifferenceProps) {
  if (before === null && after === null) return null;
  const lines = diffOf(before ?? "", after ?? "").map(({ kind, text }): PatchLine => ({ kind, text: `${SIGNS[kind]}${text}` }));
  const isSame = lines.every(({ kind }) => kind === "same");
  return (
    <section>
      <h2>{title}</h2>
      {isSame ? <p class="soft">The same in both.</p> : <PatchLines lines={lines} label={`${title}: the difference`} />}
    </section>
  );
}

const SIGNS = { same: " ", added: "+", removed: "-" } as const;

async function codeOf(client: Client, run: string, signal: AbortSignal): Promise<Code> {
  const assets = await assetsOf(client, run, { asOf: null }, signal);
  const text = async (asset: Asset | undefined) => (asset === undefined ? null : (await textOfAsset(client, asset, FILE_BYTES, signal)).text);
  const programs = assets.filter(({ role, location }) => role === "code" && location === null);
  return { program: await text(programs.at(-1)), patch: await text(assets.filter(isPatch).at(-1)) };
}
