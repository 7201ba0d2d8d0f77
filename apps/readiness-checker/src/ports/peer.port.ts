import type { Measurements } from '@understudy/contracts';

/** The other server of the pair. */
export interface PeerMeasuring {
  /** What it measures of itself now. Rejects with the reason when it is not known, not reached, or does not answer within `limitMs`. */
  measure(limitMs: number): Promise<Measurements>;
}
