import type { Asset } from "./assets.ts";

/** How files are shown, and which of them belong together. Pure. */
export type MediaKind = "image" | "audio" | "video" | "page" | "table" | "histogram" | "text";

export interface MediaStep {
  readonly step: number;
  /** The files of this step, in the order in which they were logged. */
  readonly assets: readonly Asset[];
}

/** Files with one name, over the steps at which they were logged. */
export interface Media {
  readonly name: string;
  readonly kind: MediaKind;
  /** By step. */
  readonly steps: readonly MediaStep[];
  /** Files that were logged without a step. */
  readonly others: readonly Asset[];
}

const TABLES = new Set(["text/csv", "text/tab-separated-values"]);
/** Files that are code or the run's own bookkeeping, which have tabs of their own. */
const ROLES = new Set(["code", "patch", "upload"]);

/** How a file can be shown; null: only downloaded. */
export function kindOf({ kind, content_type: given, location, name, role }: Asset): MediaKind | null {
  if (location !== null) return null;
  const type = (given.split(";")[0] ?? "").trim().toLowerCase();
  if (type.startsWith("image/")) return "image";
  if (type.startsWith("audio/")) return "audio";
  if (type.startsWith("video/")) return "video";
  if (type === "text/html" || role === "page") return "page";
  if (TABLES.has(type)) return "table";
  if (kind === "histogram" && type === "application/json") return "histogram";
  if (type.startsWith("text/") || type === "application/json" || /\.(md|log|ya?ml|toml)$/i.test(name)) return "text";
  return null;
}

/** Group the files of a run that can be shown by name, with their steps in order. */
export function mediaOf(assets: readonly Asset[]): readonly Media[] {
  const groups = new Map<string, { readonly name: string; readonly kind: MediaKind; readonly assets: Asset[] }>();
  for (const asset of assets) {
    const kind = kindOf(asset);
    if (kind === null || ROLES.has(asset.role ?? "") || isPatch(asset)) continue;
    const key = JSON.stringify([kind, asset.name]);
    const group = groups.get(key) ?? { name: asset.name, kind, assets: [] };
    group.assets.push(asset);
    groups.set(key, group);
  }
  return [...groups.values()].map(grouped).sort((a, b) => NAMES.compare(a.name, b.name));
}

const NAMES = new Intl.Collator("en", { numeric: true });

function grouped({ name, kind, assets }: { name: string; kind: MediaKind; assets: readonly Asset[] }): Media {
  const steps = new Map<number, Asset[]>();
  const others: Asset[] = [];
  const inOrder = [...assets].sort((a, b) => (a.at < b.at ? -1 : a.at > b.at ? 1 : a.asset < b.asset ? -1 : 1));
  for (const asset of inOrder) {
    if (asset.step === null) others.push(asset);
    else steps.set(asset.step, [...(steps.get(asset.step) ?? []), asset]);
  }
  const sorted = [...steps].sort(([a], [b]) => a - b);
  return { name, kind, others, steps: sorted.map(([step, own]) => ({ step, assets: own })) };
}

/** All steps at which something was logged, in order. */
export function stepsOf(media: readonly Media[]): readonly number[] {
  const steps = new Set(media.flatMap((one) => one.steps.map(({ step }) => step)));
  return [...steps].sort((a, b) => a - b);
}

/** The newest step at or before `step` (null: the last one); null: there is none. */
export function at<Step extends { readonly step: number }>(steps: readonly Step[], step: number | null): Step | null {
  if (step === null) return steps.at(-1) ?? null;
  let [low, high] = [0, steps.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((steps[middle]?.step ?? Infinity) <= step) low = middle + 1;
    else high = middle;
  }
  return steps[low - 1] ?? null;
}

/** Whether a file is what was changed since the commit. */
export function isPatch({ role, content_type: type }: Asset): boolean {
  return role === "patch" || type.startsWith("text/x-diff") || type.startsWith("text/x-patch");
}
