import type { ComponentChildren } from "preact";

import { useRun } from "./context.ts";

/** The field that narrows a tab to names with a text, which stands in the address. */
export function FindField({ label, children }: { readonly label: string; readonly children?: ComponentChildren }) {
  const { state } = useRun();
  return (
    <div class="bar">
      <input
        type="search"
        class="find"
        aria-label={label}
        placeholder={label}
        value={state.find.value}
        onInput={(event) => state.find.set(event.currentTarget.value, "replace")}
      />
      {children}
    </div>
  );
}
