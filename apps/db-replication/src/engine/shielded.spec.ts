import { setTimeout as delay } from 'node:timers/promises';
import { expect, it } from '@jest/globals';
import { quietContext } from '../ports/task-context.ts';
import { shielded } from './shielded.ts';

const IDLE_MS = 200;

it('cancelled work goes on while it gets further, and is stopped when it stands still', async () => {
  const abort = new AbortController();
  const context = { ...quietContext(abort.signal), closing: new AbortController().signal };
  let steps = 0;
  const work = shielded(
    context,
    async ({ signal, worked }) => {
      abort.abort(new Error('replaced'));
      for (; steps < 20; steps++) {
        await delay(IDLE_MS / 10);
        signal.throwIfAborted();
        worked();
      }
      await delay(60_000, undefined, { signal });
    },
    IDLE_MS,
  );
  await expect(work).rejects.toThrow();
  expect(steps).toBe(20);
});

it('the end of the service stops it at once', async () => {
  const closing = new AbortController();
  const context = { ...quietContext(), closing: closing.signal };
  const work = shielded(context, ({ signal }) => delay(60_000, undefined, { signal }));
  closing.abort();
  await expect(work).rejects.toThrow();
});
