import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { afterEnd, EXHAUSTED_PAUSE_MS } from './restart-policy.ts';

const POLICY = { attempts: 3, withinMs: 60_000, backoffMs: 1000 };

describe('the restart policy', () => {
  it.each<[string, number[], number, boolean, boolean, number]>([
    ['the first end', [], 0, true, false, 1000],
    ['the third within the time', [0, 1000], 2000, true, false, 1000],
    ['the fourth within the time', [0, 1000, 2000], 3000, true, true, EXHAUSTED_PAUSE_MS],
    ['the fourth when the first is long ago', [0, 50_000, 55_000], 61_000, true, false, 1000],
    ['the fourth of starts that never became ready', [0, 61_000, 122_000], 183_000, false, true, EXHAUSTED_PAUSE_MS],
  ])('%s', (_, failures, atMs, wasReady, exhausted, pauseMs) => {
    expect(afterEnd(POLICY, failures, atMs, wasReady)).toMatchObject({ exhausted, pauseMs });
  });

  it('without attempts is used up at the first end', () => {
    expect(afterEnd({ ...POLICY, attempts: 0 }, [], 5, true).exhausted).toBe(true);
  });

  it('keeps a bounded memory, and allows no more restarts within the time than configured', () => {
    fc.assert(
      fc.property(fc.nat(5), fc.array(fc.nat(40_000), { maxLength: 100 }), (attempts, gaps) => {
        const policy = { ...POLICY, attempts };
        let failures: readonly number[] = [];
        const restarts: number[] = [];
        let atMs = 0;
        for (const gap of gaps) {
          atMs += gap;
          const decision = afterEnd(policy, failures, atMs, true);
          failures = decision.failures;
          expect(failures.length).toBeLessThanOrEqual(attempts + 1);
          if (!decision.exhausted) restarts.push(atMs);
          expect(restarts.filter((then) => atMs - then < policy.withinMs).length).toBeLessThanOrEqual(attempts);
        }
      }),
    );
  });
});
