import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { AttemptLimiter } from './attempt-limiter.ts';

describe('the delay after wrong keys', () => {
  it('is nothing for two, then grows per source to five minutes', () => {
    const limiter = new AttemptLimiter();
    const waits: number[] = [];
    for (let wrong = 1; wrong <= 12; wrong += 1) {
      limiter.wrong('a', 0);
      waits.push(limiter.waitMs('a', 0) / 1000);
    }
    expect(waits).toEqual([0, 0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 300]);
    expect(limiter.waitMs('a', 299_000)).toBe(1000);
  });

  it('reaches those who change their source, but not for longer than half a minute', () => {
    const limiter = new AttemptLimiter();
    for (let wrong = 1; wrong <= 100; wrong += 1) limiter.wrong(`source ${wrong}`, 0);
    expect(limiter.waitMs('the owner', 0)).toBe(30_000);
  });

  it('counts those whose source is not known in the total only', () => {
    const limiter = new AttemptLimiter();
    for (let wrong = 1; wrong <= 10; wrong += 1) limiter.wrong(null, 0);
    expect(limiter.waitMs(null, 0)).toBe(0);
    limiter.wrong(null, 0);
    expect(limiter.waitMs(null, 0)).toBe(1000);
  });

  it('is forgotten after a right key, and after a quarter of an hour', () => {
    const limiter = new AttemptLimiter();
    for (let wrong = 1; wrong <= 5; wrong += 1) limiter.wrong('a', 0);
    limiter.right('a');
    expect(limiter.waitMs('a', 0)).toBe(0);
    for (let wrong = 1; wrong <= 5; wrong += 1) limiter.wrong('b', 0);
    limiter.wrong('b', 900_000);
    expect(limiter.waitMs('b', 900_000)).toBe(0);
  });

  it('holds a bounded number of sources and never a negative wait', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.string(), fc.nat(10_000)), { maxLength: 200 }), (attempts) => {
        const limiter = new AttemptLimiter();
        let atMs = 0;
        for (const [source, afterMs] of attempts) {
          atMs += afterMs;
          limiter.wrong(source, atMs);
          const waitMs = limiter.waitMs(source, atMs);
          expect(waitMs).toBeGreaterThanOrEqual(0);
          expect(waitMs).toBeLessThanOrEqual(300_000);
        }
      }),
    );
  });
});
