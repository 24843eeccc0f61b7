/** Colours from low to high that read the same to people who see fewer colours, and in grey: a ramp like viridis, which ends darker so that it is seen on white. Pure. */
const STOPS = [
  [68, 1, 84],
  [59, 82, 139],
  [33, 145, 140],
  [94, 201, 98],
  [216, 160, 24],
] as const;

/** @param place from 0 to 1 */
export function shadeOf(place: number): string {
  const along = Math.min(1, Math.max(0, place)) * (STOPS.length - 1);
  const at = Math.min(STOPS.length - 2, Math.floor(along));
  const part = along - at;
  const [low, high] = [STOPS[at], STOPS[at + 1]];
  if (low === undefined || high === undefined) return "rgb(68 1 84)";
  const mixed = low.map((value, channel) => Math.round(value + ((high[channel] ?? value) - value) * part));
  return `rgb(${mixed.join(" ")})`;
}
