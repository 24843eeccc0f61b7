import { messageOf } from "../../data/problem.ts";
import { type ServerStatus, statusOf } from "../../data/server.ts";
import { textOfBytes, textOfCount } from "../../data/values.ts";
import { useLoaded } from "../../state/loading.ts";
import { useServices } from "../../state/services.ts";
import { Link } from "../../ui/Link.tsx";
import { Notice } from "../../ui/Notice.tsx";

const AGAIN_MS = 5000;

/** How the server is doing, as it is now. */
export function Health() {
  const { client } = useServices();
  const status = useLoaded((signal) => statusOf(client, signal), "server", AGAIN_MS);
  const found = status.value.value;
  const error = status.error.value;
  return (
    <section class="home-part" aria-labelledby="server">
      <h2 id="server">Server</h2>
      {error === null ? null : <Notice kind="bad">{messageOf(error)}</Notice>}
      {found === null ? null : <Figures status={found} />}
    </section>
  );
}

function Figures({ status }: { readonly status: ServerStatus }) {
  const { quarantined_records: dead, quarantined_by_cause: causes } = status;
  const { disk_free_bytes: free, disk_total_bytes: total } = status;
  return (
    <dl class="home-figures">
      <dt>Version</dt>
      <dd>{status.version}</dd>
      <dt>Lag</dt>
      <dd>{status.lag_records === 0 ? "none: all is visible" : `${textOfCount(status.lag_records)} records`}</dd>
      <dt>Dead letters</dt>
      <dd class={dead === 0 ? "" : "bad"}>
        {dead === 0
          ? "none"
          : Object.entries(causes)
              .map(([cause, count]) => `${textOfCount(count)} ${cause}`)
              .join(", ")}
      </dd>
      {free === null || total === null ? null : (
        <>
          <dt>Disk</dt>
          <dd>
            {textOfBytes(free)} free of {textOfBytes(total)}
          </dd>
        </>
      )}
      <dt>Interfaces</dt>
      <dd>
        <Link to="/-/api">API</Link>
      </dd>
    </dl>
  );
}
