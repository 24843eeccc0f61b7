import { type PatchLine, patchOf, sizeOf } from "./patch.ts";

/** Lines that are made into elements; the file itself has all. */
const MOST_LINES = 5000;

/** A patch with what was added and taken away in colours, and in signs for those who see none. */
export function Patch({ text, label }: { readonly text: string; readonly label: string }) {
  return <PatchLines lines={patchOf(text)} label={label} />;
}

export function PatchLines({ lines, label }: { readonly lines: readonly PatchLine[]; readonly label: string }) {
  const { added, removed } = sizeOf(lines);
  const shown = lines.slice(0, MOST_LINES);
  return (
    <div class="patch">
      <p class="soft">
        {added} {added === 1 ? "line" : "lines"} added, {removed} taken away
      </p>
      <pre tabIndex={0} role="group" aria-label={label}>
        {shown.map((line, at) => (
          <span key={at} class={`patch-line patch-${line.kind}`}>
            {`${line.text}\n`}
          </span>
        ))}
      </pre>
      {lines.length > shown.length ? <p class="soft">and {lines.length - shown.length} more lines in the file</p> : null}
    </div>
  );
}
