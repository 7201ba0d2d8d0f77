import { fork } from 'node:child_process';
import type { RunOptions } from './random-run.ts';
import { type RunReport, reportOf } from './simulate-run.ts';
import type { RunOrder } from './simulate-worker.ts';

/** Makes one run after the other. */
type Worker = { run(order: RunOrder): Promise<RunReport>; end(): void };

/**
 * Runs consecutive seeds on so many processes, a single one being this process itself, until `goesOn` says no. `take` gets each report
 * as it comes. Runs that are under way at the end are dropped.
 */
export async function runSeeds(
  { first, jobs, options }: { readonly first: number; readonly jobs: number; readonly options: RunOptions },
  goesOn: (seed: number) => boolean,
  take: (report: RunReport) => void,
): Promise<void> {
  const crew = Array.from({ length: jobs }, () => (jobs === 1 ? thisProcess : forked()));
  let next = first;
  const work = async (worker: Worker) => {
    while (goesOn(next)) {
      const seed = next++;
      const report = await worker.run({ seed, ...options });
      // another process has found something meanwhile
      if (goesOn(seed)) take(report);
    }
  };
  try {
    await Promise.all(crew.map(work));
  } finally {
    for (const worker of crew) worker.end();
  }
}

const thisProcess: Worker = { run: ({ seed, ...options }) => reportOf(seed, options), end: () => undefined };

function forked(): Worker {
  const child = fork(new URL('./simulate-worker.js', import.meta.url));
  return {
    run: (order) =>
      new Promise((resolve, reject) => {
        const onExit = (code: number | null) => reject(new Error(`a process ended with ${code} in seed ${order.seed}`));
        child.once('exit', onExit);
        child.once('message', (report) => {
          child.off('exit', onExit);
          resolve(report as RunReport);
        });
        child.send(order);
      }),
    end: () => {
      child.removeAllListeners();
      if (child.connected) child.disconnect();
    },
  };
}
