import type { RunOptions } from './random-run.ts';
import { type RunReport, reportOf } from './simulate-run.ts';

/** One run that a process of its own shall make. */
export interface RunOrder extends RunOptions {
  readonly seed: number;
}

/** A process that makes the runs it is told to, one after the other, and reports each. It ends with the one that has started it. */
process.on('message', ({ seed, ...options }: RunOrder) => {
  reportOf(seed, options).then(
    (report: RunReport) => process.send?.(report),
    (error: unknown) => {
      throw error;
    },
  );
});
process.on('disconnect', () => process.exit());
