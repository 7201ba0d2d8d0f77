/** Seconds-free monotonic time in milliseconds, the same clock in every process of this machine (CLOCK_MONOTONIC). */
export function monotonicMs(): number {
  return Number(process.hrtime.bigint() / 1000n) / 1000;
}

/** Pauses without blocking the event loop. */
export function pause(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}

/** Pauses the whole process: for the few steps of a fault that nothing may interleave with. */
export function pauseBlocking(milliseconds: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, milliseconds);
}

/** How long to wait, and how often to look. */
export interface Deadline {
  readonly withinMs: number;
  /** Pause between two looks; 200 unless told. */
  readonly everyMs?: number;
}

/** A condition that did not come true in time. The message says what was waited for and what was last seen. */
export class DeadlineExceededError extends Error {}

/**
 * Waits until `look` gives something other than undefined and false, and returns it.
 * An error thrown by `look` counts as "not yet" and is told when the deadline passes.
 *
 * @param what what is waited for, for the message
 * @throws DeadlineExceededError
 */
export async function until<T>(
  what: string,
  { withinMs, everyMs = 200 }: Deadline,
  look: () => T | undefined | false | Promise<T | undefined | false>,
): Promise<T> {
  const end = monotonicMs() + withinMs;
  let lastError = '';
  for (;;) {
    try {
      const found = await look();
      if (found !== undefined && found !== false) return found;
      lastError = '';
    } catch (error) {
      lastError = error instanceof Error ? `; last error: ${error.message}` : `; last error: ${String(error)}`;
    }
    if (monotonicMs() >= end) throw new DeadlineExceededError(`${what}: not within ${withinMs} ms${lastError}`);
    await pause(everyMs);
  }
}
