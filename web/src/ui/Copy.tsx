import { useSignal } from "@preact/signals";

interface CopyProps {
  /** Made when it is wanted, because it may be large. */
  readonly text: () => string;
  readonly title: string;
  readonly label?: string;
}

const SHOWN_MS = 1500;

/** A button that puts a text on the clipboard, and says that it did. */
export function Copy({ text, title, label = "Copy" }: CopyProps) {
  const state = useSignal<"" | "Copied" | "Not copied">("");
  const copy = async () => {
    state.value = (await copied(text())) ? "Copied" : "Not copied";
    setTimeout(() => {
      state.value = "";
    }, SHOWN_MS);
  };
  return (
    <button type="button" class="quiet copy" title={title} aria-label={`${label}: ${title}`} onClick={() => void copy()}>
      <span aria-live="polite">{state.value === "" ? label : state.value}</span>
    </button>
  );
}

/** Returns whether the text is on the clipboard. Pages over HTTP have no clipboard of their own, so a selection serves. */
async function copied(text: string): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    const field = document.createElement("textarea");
    field.value = text;
    document.body.append(field);
    field.select();
    const isDone = document.execCommand("copy");
    field.remove();
    return isDone;
  }
}
