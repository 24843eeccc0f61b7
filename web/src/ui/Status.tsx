import type { RunStatus } from "../data/types.ts";

const SIGNS: Readonly<Record<RunStatus, string>> = {
  running: "●",
  finished: "✓",
  failed: "✕",
  crashed: "!",
  killed: "■",
};

/** The status of a run: a sign and its word, because a colour alone says nothing to some. */
export function Status({ status, message }: { readonly status: RunStatus; readonly message: string }) {
  return (
    <span class={`status status-${status}`} title={message === "" ? status : message}>
      <span aria-hidden="true">{SIGNS[status]}</span> {status}
    </span>
  );
}
