/** A patch as lines that are told apart. Pure. */
export type PatchKind = "file" | "about" | "hunk" | "added" | "removed" | "same";

export interface PatchLine {
  readonly kind: PatchKind;
  readonly text: string;
}

/** Read the output of `git diff`. */
export function patchOf(text: string): readonly PatchLine[] {
  let isInHunk = false;
  const lines = text.replace(/\n$/, "").split("\n");
  return lines.map((line) => {
    if (line.startsWith("diff ")) isInHunk = false;
    const kind = kindOf(line, isInHunk);
    if (kind === "hunk") isInHunk = true;
    return { kind, text: line };
  });
}

function kindOf(line: string, isInHunk: boolean): PatchKind {
  if (line.startsWith("diff ")) return "file";
  if (line.startsWith("@@")) return "hunk";
  // A line that was taken away may begin with "--" itself, so heads of files are looked for outside of hunks only.
  if (!isInHunk) return /^(index|---|\+\+\+|new|old|deleted|similarity|rename|copy|Binary|GIT)/.test(line) ? "about" : "same";
  if (line.startsWith("+")) return "added";
  return line.startsWith("-") ? "removed" : line.startsWith("\\") ? "about" : "same";
}

/** How many lines a patch adds and takes away. */
export function sizeOf(lines: readonly PatchLine[]): { readonly added: number; readonly removed: number } {
  const count = (kind: PatchKind) => lines.filter((line) => line.kind === kind).length;
  return { added: count("added"), removed: count("removed") };
}
