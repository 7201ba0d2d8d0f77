import { describe, expect, it } from '@jest/globals';
import { certainDifferenceMs } from './clock-difference.ts';

describe('the difference of two clocks', () => {
  /** The answering clock is ahead by that; question and answer take so long on their way, in ms, the work between 20 s. */
  const seen = (aheadMs: number, thereMs: number, backMs: number) => {
    const arrived = 1_000_000 + thereMs;
    const left = arrived + 20_000;
    const times = { sentUnixMs: 1_000_000, arrivedUnixMs: arrived + aheadMs, leftUnixMs: left + aheadMs };
    return certainDifferenceMs({ ...times, receivedUnixMs: left + backMs });
  };

  it.each([
    ['equal clocks, a slow way there', 0, 4000, 10, 0],
    ['equal clocks, a slow way back', 0, 10, 4000, 0],
    ['ahead', 7000, 0, 0, 7000],
    ['ahead, a slow way', 7000, 900, 400, 6600],
    ['behind', -7000, 0, 0, -7000],
    ['behind, a slow way', -7000, 400, 900, -6600],
  ])('%s', (_, ahead, there, back, expected) => expect(seen(ahead, there, back)).toBe(expected));
});
