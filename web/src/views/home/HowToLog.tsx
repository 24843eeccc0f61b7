import { useSignal } from "@preact/signals";

import { Copy } from "../../ui/Copy.tsx";
import { howTos, KEY } from "./howto.ts";

/** Lines that have a program log to this very server, for each client that it understands. */
export function HowToLog() {
  const known = howTos(location.origin);
  const chosen = useSignal(0);
  const shown = known[chosen.value] ?? known[0];
  if (shown === undefined) return null;
  return (
    <section class="home-part" aria-labelledby="how-to-log">
      <h2 id="how-to-log">Log to this server</h2>
      <div class="home-clients" role="group" aria-label="Client">
        {known.map((one, at) => (
          <button
            key={one.client}
            type="button"
            class="quiet"
            aria-pressed={at === chosen.value}
            onClick={() => {
              chosen.value = at;
            }}
          >
            {one.client}
          </button>
        ))}
      </div>
      <p class="soft">
        {shown.about}. {KEY} stands for your key; a server without keys takes any word.
      </p>
      <div class="home-lines">
        <Copy title={`the lines for ${shown.client}`} text={() => shown.lines} />
        <pre tabIndex={0} role="region" aria-label={`Lines for ${shown.client}`}>
          {shown.lines}
        </pre>
      </div>
    </section>
  );
}
