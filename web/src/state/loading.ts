import { useEffect, useMemo, useRef } from "preact/hooks";

import { type Load, Loaded } from "../data/loaded.ts";

/**
 * Read a value for as long as a component is there.
 *
 * @param key what the value depends on: another key begins anew
 * @param everyMs how often it is read again, in milliseconds; null: once
 */
export function useLoaded<T>(load: Load<T>, key: string, everyMs: number | null = null): Loaded<T> {
  const loaded = useMemo(() => new Loaded(load), [key]);
  useEffect(() => {
    void loaded.refresh();
    return () => loaded.end();
  }, [loaded]);
  useEffect(() => loaded.repeat(everyMs), [loaded, everyMs]);
  return loaded;
}

/** The value, or while there is none the one that was there before, so that nothing flickers. */
export function useLast<T>(value: T | null): { readonly value: T | null; readonly isOld: boolean } {
  const last = useRef<T | null>(null);
  if (value !== null) last.current = value;
  return { value: last.current, isOld: value === null && last.current !== null };
}
