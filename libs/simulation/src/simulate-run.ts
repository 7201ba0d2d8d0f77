import { type RunOptions, randomRun } from './random-run.ts';
import type { Counts } from './tally.ts';

/** One run, as the process that made it tells it. */
export interface RunReport {
  readonly seed: number;
  /** Simulated time. */
  readonly seconds: number;
  readonly broken: string | null;
  /** The table of what happened; null when nobody wants it. */
  readonly trace: string | null;
  readonly counts: Counts;
}

/** Makes one run. */
export async function reportOf(seed: number, options: RunOptions): Promise<RunReport> {
  const { pair, broken } = await randomRun(seed, options);
  const { faults, takeovers, refusals, decisions, laws } = pair.tally;
  return {
    seed,
    seconds: pair.seconds,
    broken,
    trace: broken !== null || options.keepsTrace ? pair.trace.toString() : null,
    counts: { faults, takeovers, refusals, decisions, laws },
  };
}
