/** One callback of the browser's for all charts: what they have to do before the next picture, each once. */
const waiting = new Set<() => void>();
let asked = 0;

/** Calls `work` once before the next picture, however often it was asked for. */
export function beforePicture(work: () => void): void {
  waiting.add(work);
  if (asked === 0) asked = requestAnimationFrame(run);
}

/** Takes it back. */
export function notAnyMore(work: () => void): void {
  waiting.delete(work);
}

function run(): void {
  asked = 0;
  const now = [...waiting];
  waiting.clear();
  for (const work of now) work();
}
