import { useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";

const KEYS: readonly (readonly [string, string])[] = [
  ["/", "Go to the filter"],
  ["t", "Go to the table"],
  ["Ctrl Z", "Undo the last change of what is shown"],
  ["Ctrl Shift Z", "Do it again"],
  ["?", "Show these keys"],
  ["↑ ↓ Page Home End", "In the table: move"],
  ["Enter", "In the table: open the run"],
  ["Space", "In the table: tick the run"],
  ["← →", "In a chart: move the cursor by points"],
  ["+ −", "In a chart: zoom in and out"],
  ["Esc", "In a chart: show the whole axis"],
];

/** Keys that work everywhere, and the list of all keys. */
export function Shortcuts() {
  const isOpen = useSignal(false);
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => {
    const onKey = (event: KeyboardEvent) => {
      if (isWriting(event.target)) return;
      const isCommand = event.ctrlKey || event.metaKey;
      if (isCommand && event.key.toLowerCase() === "z") {
        // What is shown stands in the address, so its history is the history of changes.
        if (event.shiftKey) history.forward();
        else history.back();
      } else if (isCommand || event.altKey) return;
      else if (event.key === "/") document.querySelector<HTMLElement>(".filter-input")?.focus();
      else if (event.key === "t") document.querySelector<HTMLElement>(".table")?.focus();
      else if (event.key === "?") isOpen.value = true;
      else return;
      event.preventDefault();
    };
    document.addEventListener("keydown", onKey);
    return () => document.removeEventListener("keydown", onKey);
  }, []);
  useEffect(() => {
    if (isOpen.value) dialog.current?.showModal();
  }, [isOpen.value]);
  if (!isOpen.value) return null;
  return (
    <dialog
      ref={dialog}
      class="dialog"
      aria-labelledby="keys-title"
      onClose={() => {
        isOpen.value = false;
      }}
    >
      <h2 id="keys-title">Keys</h2>
      <dl class="keys">
        {KEYS.map(([key, what]) => (
          <div key={key}>
            <dt>
              <kbd>{key}</kbd>
            </dt>
            <dd>{what}</dd>
          </div>
        ))}
      </dl>
      <button type="button" class="main" onClick={() => dialog.current?.close()}>
        Close
      </button>
    </dialog>
  );
}

function isWriting(target: EventTarget | null): boolean {
  if (!(target instanceof HTMLElement)) return false;
  if (target.isContentEditable || target instanceof HTMLTextAreaElement || target instanceof HTMLSelectElement) return true;
  return target instanceof HTMLInputElement && !["checkbox", "radio", "range", "button"].includes(target.type);
}
