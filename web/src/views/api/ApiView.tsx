import { useEffect, useMemo } from "preact/hooks";

import { curlOf, type OpenApi, openApiOf, resolved, type Route, routesByTag, type Schema, typeText } from "../../data/openapi.ts";
import { messageOf } from "../../data/problem.ts";
import { textOfCount } from "../../data/values.ts";
import { Param, text } from "../../state/address.ts";
import { useLoaded } from "../../state/loading.ts";
import { useServices } from "../../state/services.ts";
import { Copy } from "../../ui/Copy.tsx";
import { Notice } from "../../ui/Notice.tsx";

/** What programs can ask this server for: its own interface, and those of the clients of other trackers. */
export function ApiView() {
  const { client, address } = useServices();
  const state = useMemo(
    () => ({
      protocol: new Param(address, "protocol", text()),
      search: new Param(address, "search", text()),
      route: new Param(address, "route", text()),
    }),
    [],
  );
  const chosen = state.protocol.value;
  const own = useLoaded((signal) => openApiOf(client, "", signal), "");
  const loaded = useLoaded((signal) => openApiOf(client, chosen, signal), chosen);
  const error = loaded.error.value ?? own.error.value;
  const protocols = own.value.value?.["x-protocols"] ?? [];
  useEffect(() => {
    document.title = "API · Runstream";
  }, []);
  const shown = loaded.value.value;
  const groups = shown === null ? null : routesByTag(shown, state.search.value);
  return (
    <main class="plain api" id="view">
      <div class="bar">
        <h1>API</h1>
        <label>
          Of{" "}
          <select
            aria-label="Whose interface"
            value={chosen}
            onChange={(event) => address.change({ ...state.protocol.with(event.currentTarget.value), ...state.route.with("") })}
          >
            <option value="">this server</option>
            {protocols.map((name) => (
              <option key={name} value={name}>
                {name}
              </option>
            ))}
          </select>
        </label>
        <input
          type="search"
          aria-label="Find a route"
          placeholder="Find a route"
          value={state.search.value}
          onInput={(event) => state.search.set(event.currentTarget.value, "replace")}
        />
        <a href={chosen === "" ? "/api/v1/openapi.json" : `/api/v1/openapi/${encodeURIComponent(chosen)}.json`}>OpenAPI document</a>
      </div>
      {error === null ? null : <Notice kind="bad">{messageOf(error)}</Notice>}
      {groups !== null && groups.size === 0 ? <Notice kind="warn">No route has “{state.search.value}”.</Notice> : null}
      {[...(groups ?? [])].map(([tag, routes]) => (
        <section key={tag} aria-label={tag}>
          <h2>
            {tag} <span class="soft">{textOfCount(routes.length)}</span>
          </h2>
          {routes.map((route) => (
            <details
              key={route.key}
              class="route"
              open={state.route.value === route.key}
              onToggle={(event) => {
                if (event.currentTarget.open) state.route.set(route.key, "replace");
                else if (state.route.peek() === route.key) state.route.set("", "replace");
              }}
            >
              <summary>
                <span class="method">{route.method}</span> <code>{route.path}</code> <span class="soft">{route.operation.summary}</span>
              </summary>
              {state.route.value === route.key && shown !== null ? <Detail document={shown} route={route} /> : null}
            </details>
          ))}
        </section>
      ))}
    </main>
  );
}

function Detail({ document, route }: { readonly document: OpenApi; readonly route: Route }) {
  const { access } = useServices();
  const { operation } = route;
  const curl = curlOf(location.origin, route, access.key.value !== null);
  const body = resolved(document, operation.requestBody?.content["application/json"]?.schema);
  return (
    <div class="route-detail">
      {operation.description === undefined ? null : <p>{operation.description}</p>}
      <pre>{curl}</pre>
      <Copy text={() => curl} title="the line for a terminal" />
      {(operation.parameters ?? []).length === 0 ? null : (
        <Members
          title="Parameters"
          members={(operation.parameters ?? []).map((one) => ({
            name: one.name,
            type: typeText(one.schema),
            isRequired: one.required === true,
            about: [one.in === "query" ? "" : `in the ${one.in}`, one.description ?? ""].filter((part) => part !== "").join("; "),
          }))}
        />
      )}
      {body === undefined ? null : <Members title="Body" members={membersOf(body)} />}
      {Object.entries(operation.responses ?? {}).map(([status, response]) => {
        const [media, content] = Object.entries(response.content ?? {})[0] ?? ["", undefined];
        const schema = resolved(document, content?.schema);
        return (
          <div key={status}>
            <h3>
              {status} <span class="soft">{response.description} {media}</span>
            </h3>
            {schema?.properties === undefined || status.startsWith("4") || status.startsWith("5") ? null : (
              <Members title="Response" members={membersOf(schema)} />
            )}
          </div>
        );
      })}
    </div>
  );
}

interface Member {
  readonly name: string;
  readonly type: string;
  readonly isRequired: boolean;
  readonly about: string;
}

function membersOf(schema: Schema): readonly Member[] {
  return Object.entries(schema.properties ?? {}).map(([name, one]) => ({
    name,
    type: typeText(one),
    isRequired: schema.required?.includes(name) === true,
    about: [one.description ?? "", one.default === undefined || one.default === null ? "" : `default ${JSON.stringify(one.default)}`]
      .filter((part) => part !== "")
      .join("; "),
  }));
}

function Members({ title, members }: { readonly title: string; readonly members: readonly Member[] }) {
  return (
    <div class="members" role="region" aria-label={title} tabIndex={0}>
      <table>
        <caption>{title}</caption>
        <tbody>
          {members.map((one) => (
            <tr key={one.name}>
              <th scope="row">
                <code>{one.name}</code>
                {one.isRequired ? <span class="soft"> required</span> : null}
              </th>
              <td>{one.type}</td>
              <td>{one.about}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
