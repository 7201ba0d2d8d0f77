import { describe, expect, it } from '@jest/globals';
import { Patience } from './patience.ts';

const TIMING = { roundMs: 5000, missedLimit: 3, graceMs: 20_000 };

/** How long the process is left alone, and then borne without an answer, in rounds that it is asked. */
function silentUntilReplaced(patience: Patience, pid: number): { firstAskedMs: number; asked: number } {
  let firstAskedMs: number | null = null;
  for (let upMs = 0, asked = 0; ; upMs += TIMING.roundMs) {
    if (!patience.asks(pid, upMs)) continue;
    firstAskedMs ??= upMs;
    asked += 1;
    if (patience.isOver(false)) return { firstAskedMs, asked };
  }
}

describe('the patience with a part of the server', () => {
  it('ends when several answers in a row are missing', () => {
    const patience = new Patience(TIMING);
    expect(patience.asks(1, 19_999)).toBe(false);
    expect(patience.asks(1, 20_000)).toBe(true);
    expect([false, false, true, false, false].map((answered) => patience.isOver(answered))).not.toContain(true);
    expect(patience.isOver(false)).toBe(true);
  });

  it('doubles for the next process when one has never answered since its start, up to five minutes', () => {
    const patience = new Patience(TIMING);
    const waits = [1, 2, 3, 4, 5, 6].map((pid) => silentUntilReplaced(patience, pid).firstAskedMs / 1000);
    expect(waits).toEqual([20, 40, 80, 160, 300, 300]);
  });

  it('is as at first again when a process has answered', () => {
    const patience = new Patience(TIMING);
    silentUntilReplaced(patience, 1);
    expect(patience.asks(2, 40_000)).toBe(true);
    expect(patience.isOver(true)).toBe(false);
    expect(silentUntilReplaced(patience, 2)).toEqual({ firstAskedMs: 20_000, asked: 3 });
    expect(silentUntilReplaced(patience, 3).firstAskedMs).toBe(20_000);
  });
});
