import { computed, type ReadonlySignal, type Signal, signal } from "@preact/signals";
import { createContext } from "preact";
import { useContext } from "preact/hooks";

import { Client } from "../data/client.ts";
import { Live } from "../data/live/client.ts";
import { CurveEngine } from "../draw/engine.ts";
import { Address } from "./address.ts";
import { isTextOrNull, kept } from "./kept.ts";
import { curvesWorker, livePort } from "./workers.ts";

/** What every view works with: made once for the page, and for each test of a view. */
export interface Services {
  readonly client: Client;
  readonly live: Live;
  /** What draws curves: its Worker starts when a view first has some. */
  readonly engine: () => CurveEngine;
  readonly address: Address;
  readonly access: Access;
  readonly theme: Theme;
}

/** The key that a person gave, and whether the server wants another one. */
export class Access {
  /** Null: none was given. */
  readonly key: Signal<string | null> = kept("key", null, isTextOrNull);
  readonly isRefused: Signal<boolean> = signal(false);

  give(key: string): void {
    this.key.value = key;
    this.isRefused.value = false;
  }

  forget(): void {
    this.key.value = null;
  }
}

export type Shade = "light" | "dark";

/** Light or dark: the person's choice, else the system's. */
export class Theme {
  readonly chosen: Signal<Shade | null> = kept(
    "theme",
    null,
    (value): value is Shade | null => value === null || value === "light" || value === "dark",
  );
  private readonly system: Signal<Shade>;
  readonly shade: ReadonlySignal<Shade>;

  constructor(window: Pick<Window, "matchMedia">) {
    const media = window.matchMedia("(prefers-color-scheme: dark)");
    const now = (): Shade => (media.matches ? "dark" : "light");
    this.system = signal(now());
    media.addEventListener("change", () => {
      this.system.value = now();
    });
    this.shade = computed(() => this.chosen.value ?? this.system.value);
  }
}

export function makeServices(window: Window): Services {
  const access = new Access();
  const client = new Client(
    () => access.key.value,
    () => {
      access.isRefused.value = true;
    },
  );
  const live = new Live(() => access.key.value, window.document, livePort());
  let engine: CurveEngine | null = null;
  const drawing = () => (engine ??= new CurveEngine(curvesWorker()));
  return { client, live, engine: drawing, address: new Address(window), access, theme: new Theme(window) };
}

export const ServicesContext = createContext<Services | null>(null);

export function useServices(): Services {
  const services = useContext(ServicesContext);
  if (services === null) throw new Error("a view stands outside of the page");
  return services;
}
