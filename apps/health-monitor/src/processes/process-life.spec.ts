import { getEventListeners } from 'node:events';
import { expect, it } from '@jest/globals';
import { End } from './process-life.ts';

const never = new Promise<string>(() => undefined);

it('whoever waits for other work gets its outcome, or null when the life is over before', async () => {
  const ended = Promise.withResolvers<string>();
  const end = new End(ended.promise, new AbortController().signal);
  expect(await end.or(Promise.resolve('work'))).toBe('work');
  await expect(end.or(Promise.reject(new Error('failed')))).rejects.toThrow('failed');
  const waiting = end.or(never);
  ended.resolve('it has ended');
  expect(await waiting).toBeNull();
  expect(end.how).toBe('it has ended');
  expect(await end.or(never)).toBeNull();
  expect(await end.reason).toBe('it has ended');
});

it('a wish that is withdrawn is an end too, and nothing listens to it after the life', async () => {
  const wish = new AbortController();
  const past = new End(never, wish.signal);
  expect(getEventListeners(wish.signal, 'abort')).toHaveLength(1);
  past.forget();
  expect(getEventListeners(wish.signal, 'abort')).toHaveLength(0);
  const end = new End(never, wish.signal);
  wish.abort();
  expect(await end.or(never)).toBeNull();
});
