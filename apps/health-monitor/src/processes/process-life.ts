import { isSameAlive, type ProcessIdentity } from './process-table.ts';

/** The end of an adopted process, which is not our child, is noticed by looking. */
const LOOK_MS = 250;

/** Resolves when the wish is withdrawn. */
export function abortion(signal: AbortSignal, until?: AbortSignal): Promise<string> {
  if (signal.aborted) return Promise.resolve('');
  const options = { once: true, ...(until === undefined ? {} : { signal: until }) };
  return new Promise((resolve) => signal.addEventListener('abort', () => resolve(''), options));
}

/** The end of a life, or of the wish for it, for whoever waits for other things meanwhile, again and again: waiting leaves nothing behind. */
export class End {
  /** Why it is over, null while it is not. */
  how: string | null = null;
  readonly reason: Promise<string>;
  private readonly forgotten = new AbortController();
  private wake: () => void = () => undefined;

  constructor(ended: Promise<string>, signal: AbortSignal) {
    this.reason = Promise.race([ended, abortion(signal, this.forgotten.signal)]);
    void this.reason.then((how) => {
      this.how = how;
      this.wake();
    });
  }

  /** The outcome of other work, or null when it is over before. */
  or<T>(work: Promise<T>): Promise<T | null> {
    if (this.how !== null) return Promise.resolve(null);
    return new Promise((resolve, reject) => {
      this.wake = () => resolve(null);
      work.then(resolve, reject);
    });
  }

  /** Nobody waits any more. */
  forget(): void {
    this.forgotten.abort();
  }
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
