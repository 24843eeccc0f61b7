import { useSignal } from "@preact/signals";

import { useServices } from "../state/services.ts";
import { Notice } from "../ui/Notice.tsx";

/** Asks for the key that the server wants. */
export function KeyForm() {
  const { access } = useServices();
  const typed = useSignal("");
  const had = access.key.value;
  const give = (event: Event) => {
    event.preventDefault();
    const key = typed.value.trim();
    if (key !== "") access.give(key);
  };
  return (
    <main class="plain" id="view">
      <h1>This server asks for a key</h1>
      {had === null ? null : <Notice kind="bad">The server does not know the key that this browser sent.</Notice>}
      <form class="key-form" onSubmit={give}>
        <label for="key">API key</label>
        <input
          id="key"
          type="password"
          autocomplete="current-password"
          value={typed.value}
          onInput={(event) => {
            typed.value = event.currentTarget.value;
          }}
        />
        <button type="submit" class="main">
          Open
        </button>
      </form>
      <p class="soft">
        It is one of those that the server was started with (RUNSTREAM_API_KEYS). This browser keeps it until you sign out, and
        sends it to this server only.
      </p>
    </main>
  );
}
