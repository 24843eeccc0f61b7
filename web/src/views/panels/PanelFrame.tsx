import { useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";

import { closeFrame, type Frame, frameOf, openFrame, openPreview, type PanelContext } from "../../data/panels.ts";
import { isAborted, messageOf } from "../../data/problem.ts";
import { useServices } from "../../state/services.ts";
import { Notice } from "../../ui/Notice.tsx";

/** What runs in a frame: a kept panel, or code that is not kept yet. */
export type Shown =
  | { readonly kind: "kept"; readonly name: string; readonly version: string }
  | { readonly kind: "preview"; readonly source: string };

interface PanelFrameProps {
  readonly workspace: string;
  readonly project: string;
  readonly shown: Shown;
  readonly filter: string;
}

/** How often a frame that starts is asked for, and one that runs, in milliseconds. */
const STARTING_MS = 400;
const RUNNING_MS = 10_000;

/** A panel in a frame without an origin: it can reach nothing of this page, and no key. */
export function PanelFrame({ workspace, project, shown, filter }: PanelFrameProps) {
  const { client, theme } = useServices();
  const frame = useSignal<Frame | null>(null);
  const failed = useSignal<string | null>(null);
  const box = useRef<HTMLDivElement>(null);
  const shade = theme.shade.value;
  useEffect(() => {
    const ending = new AbortController();
    let timer = 0;
    let opened: string | null = null;
    frame.value = null;
    failed.value = null;
    const context: PanelContext = {
      filter,
      theme: shade,
      width: box.current?.clientWidth ?? 0,
      height: box.current?.clientHeight ?? 0,
      experiment_colors: {},
    };
    const watch = async () => {
      try {
        if (opened === null) return;
        const now = await frameOf(client, opened, ending.signal);
        if (now.state !== frame.value?.state || now.detail !== frame.value.detail) frame.value = now;
        timer = window.setTimeout(() => void watch(), now.state === "starting" ? STARTING_MS : RUNNING_MS);
      } catch (error) {
        if (!isAborted(error)) failed.value = messageOf(error);
      }
    };
    const open = async () => {
      const place = { workspace, project };
      try {
        const found =
          shown.kind === "kept"
            ? await openFrame(client, place, shown.name, shown.version, context, ending.signal)
            : await openPreview(client, place, shown.source, context, ending.signal);
        opened = found.frame;
        if (ending.signal.aborted) return;
        frame.value = found;
        timer = window.setTimeout(() => void watch(), STARTING_MS);
      } catch (error) {
        if (!isAborted(error)) failed.value = messageOf(error);
      }
    };
    void open();
    return () => {
      ending.abort();
      clearTimeout(timer);
      // A frame that is not closed ends by itself ten minutes later.
      if (opened !== null) void closeFrame(client, opened).catch(() => undefined);
    };
  }, [workspace, project, JSON.stringify(shown), filter, shade]);
  const now = frame.value;
  return (
    <div class="panel-frame" ref={box}>
      {failed.value === null ? null : <Notice kind="bad">{failed.value}</Notice>}
      {now?.state === "failed" ? (
        <Notice kind="bad">
          The panel failed. The end of what it printed:
          <pre>{now.detail}</pre>
        </Notice>
      ) : null}
      {now === null && failed.value === null ? <Notice kind="quiet">The panel starts.</Notice> : null}
      {now === null || now.state === "failed" ? null : (
        <iframe key={now.frame} title="Panel" src={now.address} ref={(element) => element?.setAttribute("sandbox", now.sandbox)} />
      )}
    </div>
  );
}
