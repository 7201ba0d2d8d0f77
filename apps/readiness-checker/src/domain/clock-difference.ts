/** Unix times in ms of one question: sent and received by the clock of who asked, arrived and left by that of who answered. */
export interface Question {
  readonly sentUnixMs: number;
  readonly arrivedUnixMs: number;
  readonly leftUnixMs: number;
  readonly receivedUnixMs: number;
}

/**
 * How far the clock of who answered is ahead for certain, in ms; negative: behind. However long question and answer were on their way, they
 * arrived after they had left: what may be delay counts as none.
 */
export function certainDifferenceMs({ sentUnixMs, arrivedUnixMs, leftUnixMs, receivedUnixMs }: Question): number {
  const aheadAtLeast = leftUnixMs - receivedUnixMs;
  const aheadAtMost = arrivedUnixMs - sentUnixMs;
  if (aheadAtLeast > 0) return aheadAtLeast;
  return aheadAtMost < 0 ? aheadAtMost : 0;
}
