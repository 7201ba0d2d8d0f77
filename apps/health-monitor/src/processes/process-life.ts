import { isSameAlive, type ProcessIdentity } from './process-table.ts';

/** The end of an adopted process, which is not our child, is noticed by looking. */
const LOOK_MS = 250;

/** One life of the process. */
export interface Run {
  readonly identity: ProcessIdentity;
  readonly startedAtMs: number;
  /** Resolves with how it ended. */
  readonly ended: Promise<string>;
}

/** Resolves when the wish is withdrawn. */
export function abortion(signal: AbortSignal): Promise<string> {
  if (signal.aborted) return Promise.resolve('');
  return new Promise((resolve) => signal.addEventListener('abort', () => resolve(''), { once: true }));
}

/** Resolves with null after that time; keeps nobody from ending. */
export const elapsed = (ms: number) => new Promise<null>((resolve) => setTimeout(() => resolve(null), ms).unref());

/**
 * How the process ended. A child says so itself; of an adopted process, which is nobody's child here, we have to look whether it is
 * still there. We look at a child too, giving its own word the time to come.
 */
export function orGone(identity: ProcessIdentity, child: Promise<string> | null, signal: AbortSignal): Promise<string> {
  return new Promise((resolve) => {
    let looksGone = 0;
    const timer = setInterval(() => {
      looksGone = isSameAlive(identity) ? 0 : looksGone + 1;
      if (looksGone > (child ? 4 : 0)) finish('it has ended');
    }, LOOK_MS);
    const finish = (how: string) => {
      clearInterval(timer);
      resolve(how);
    };
    signal.addEventListener('abort', () => clearInterval(timer), { once: true });
    void child?.then(finish);
  });
}
