import type { ComponentChildren } from "preact";

interface NoticeProps {
  readonly kind: "bad" | "warn" | "quiet";
  readonly children: ComponentChildren;
}

/** A sentence about something that went wrong, or that is not there. Screen readers say bad ones at once. */
export function Notice({ kind, children }: NoticeProps) {
  return (
    <div class={`notice notice-${kind}`} role={kind === "bad" ? "alert" : "status"}>
      {children}
    </div>
  );
}
