import { useSignal } from "@preact/signals";
import type { ComponentChildren } from "preact";
import { useEffect, useRef } from "preact/hooks";

interface WhenSeenProps {
  readonly class: string;
  readonly label: string;
  readonly children: () => ComponentChildren;
}

/** How far beyond the window something is made ready, in CSS pixels. */
const AHEAD = "300px";

/** A part of a long view, which is made when somebody scrolls to it. */
export function WhenSeen({ class: name, label, children }: WhenSeenProps) {
  const isSeen = useSignal(false);
  const box = useRef<HTMLElement>(null);
  useEffect(() => {
    const element = box.current;
    if (element === null) return undefined;
    const observer = new IntersectionObserver(
      (entries) => {
        if (!entries.some((entry) => entry.isIntersecting)) return;
        isSeen.value = true;
        observer.disconnect();
      },
      { rootMargin: AHEAD },
    );
    observer.observe(element);
    return () => observer.disconnect();
  }, []);
  return (
    <section ref={box} class={name} aria-label={label}>
      {isSeen.value ? children() : null}
    </section>
  );
}
