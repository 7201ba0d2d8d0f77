import { expect, it } from '@jest/globals';
import { Turns } from './turns.ts';

it('one piece of work begins when the one before has ended, also when that has failed', async () => {
  const turns = new Turns();
  const first = Promise.withResolvers<void>();
  const done: string[] = [];
  const failing = turns.take(async () => {
    await first.promise;
    done.push('first');
    throw new Error('no');
  });
  const second = turns.take(async () => done.push('second'));
  await Promise.resolve();
  expect([done, turns.isIdle]).toEqual([[], false]);
  first.resolve();
  await expect(failing).rejects.toThrow('no');
  expect(await second).toBe(2);
  await turns.settled();
  expect([done, turns.isIdle]).toEqual([['first', 'second'], true]);
});
