import { describe, expect, it } from '@jest/globals';
import { afterEnd, EXHAUSTED_PAUSE_MS } from './restart-policy.ts';

const POLICY = { attempts: 3, withinMs: 60_000, backoffMs: 1000 };

describe('the restart policy', () => {
  it.each([
    ['the first end', [], 0, false, 1000],
    ['the third within the time', [0, 1000], 2000, false, 1000],
    ['the fourth within the time', [0, 1000, 2000], 3000, true, EXHAUSTED_PAUSE_MS],
    ['the fourth when the first is long ago', [0, 50_000, 55_000], 61_000, false, 1000],
  ])('%s', (_, failures, atMs, exhausted, pauseMs) => {
    expect(afterEnd(POLICY, failures, atMs)).toMatchObject({ exhausted, pauseMs });
  });

  it('without attempts is used up at the first end', () => {
    expect(afterEnd({ ...POLICY, attempts: 0 }, [], 5).exhausted).toBe(true);
  });
});
