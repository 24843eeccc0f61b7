import { effect, type Signal, signal } from "@preact/signals";

/**
 * A signal that the browser keeps under a name: what belongs to a person and not to what is shown.
 *
 * Where the browser keeps nothing (private windows, a full disk) it lives as long as the tab.
 */
export function kept<T>(name: string, standard: T, accepts: (value: unknown) => value is T): Signal<T> {
  const stored = signal<T>(read(name, standard, accepts));
  effect(() => write(name, stored.value));
  return stored;
}

function read<T>(name: string, standard: T, accepts: (value: unknown) => value is T): T {
  try {
    const text = localStorage.getItem(PREFIX + name);
    const value: unknown = text === null ? null : JSON.parse(text);
    return accepts(value) ? value : standard;
  } catch {
    return standard;
  }
}

function write(name: string, value: unknown): void {
  try {
    if (value === null) localStorage.removeItem(PREFIX + name);
    else localStorage.setItem(PREFIX + name, JSON.stringify(value));
  } catch {
    // The value is in the signal, which is all that this tab needs.
  }
}

const PREFIX = "runstream.";

export function isTextOrNull(value: unknown): value is string | null {
  return value === null || typeof value === "string";
}

export function isNumber(value: unknown): value is number {
  return typeof value === "number" && Number.isFinite(value);
}
