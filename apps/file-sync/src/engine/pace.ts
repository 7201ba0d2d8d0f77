import { setImmediate } from 'node:timers/promises';

const TURN_MS = 10;

/** Lets others have a turn on this thread when one has taken long enough. */
export function makePause(): () => Promise<void> {
  let begunAtMs = performance.now();
  return async () => {
    if (performance.now() - begunAtMs < TURN_MS) return;
    await setImmediate();
    begunAtMs = performance.now();
  };
}
