import { useSignal } from "@preact/signals";
import type { ComponentType } from "preact";
import { useEffect } from "preact/hooks";

import { Notice } from "./Notice.tsx";

interface LazyProps<P> {
  /** Loads the component; the same function for the same component, because it says which one it is. */
  readonly load: () => Promise<ComponentType<P>>;
  readonly props: P;
}

/** A component that is loaded when it is shown first. */
export function Lazy<P extends object>({ load, props }: LazyProps<P>) {
  const loaded = useSignal<{ of: unknown; component: ComponentType<P> } | null>(null);
  const failed = useSignal<string | null>(null);
  useEffect(() => {
    let isOver = false;
    failed.value = null;
    load().then(
      (component) => {
        if (!isOver) loaded.value = { of: load, component };
      },
      () => {
        if (!isOver) failed.value = "This part of the page cannot be loaded. The server may be a newer one: reload the page.";
      },
    );
    return () => {
      isOver = true;
    };
  }, [load]);
  if (failed.value !== null) return <Notice kind="bad">{failed.value}</Notice>;
  if (loaded.value === null || loaded.value.of !== load) return null;
  const Component = loaded.value.component;
  return <Component {...props} />;
}
