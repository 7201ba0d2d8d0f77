import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { BeatLedger, beatDeadlineMs } from './beat-ledger.ts';
import { type HintState, NO_HINTS, onExtraBeatDone, onHint } from './hint-coalescer.ts';

describe('which answer is a sign of life', () => {
  it.each<[string, string, number, number | null]>([
    ['the nonce in time', 'a', 300, 300],
    ['the nonce too late', 'a', 301, null],
    ['another nonce', 'b', 10, null],
  ])('%s', (_, nonce, atMs, expected) => {
    const ledger = new BeatLedger(300, 2);
    ledger.send('a', 0);
    expect(ledger.answer(nonce, atMs)).toBe(expected);
  });

  it('counts a nonce once, and none of a former peer', () => {
    const ledger = new BeatLedger(300, 2);
    ledger.send('a', 0);
    expect([ledger.answer('a', 1), ledger.answer('a', 2)]).toEqual([1, null]);
    ledger.send('b', 3);
    ledger.clear();
    expect(ledger.answer('b', 4)).toBeNull();
  });

  it('has at most the limit under way, and forgets those whose time is over', () => {
    const ledger = new BeatLedger(300, 2);
    expect([ledger.send('a', 0)?.sequence, ledger.send('b', 0)?.sequence, ledger.send('c', 0)]).toEqual([1, 2, null]);
    expect(ledger.send('d', 301)?.sequence).toBe(3);
  });

  it('gives an answer one interval, at least 300 ms', () => {
    expect([beatDeadlineMs(100), beatDeadlineMs(5000)]).toEqual([300, 5000]);
  });
});

describe('hints', () => {
  it('never leave a change unseen, with one beat under way at most', () => {
    fc.assert(
      fc.property(fc.array(fc.constantFrom('hint', 'done'), { maxLength: 100 }), (events) => {
        let state: HintState = NO_HINTS;
        let underWay = 0;
        let unseen = false; // a change that no beat begun later has asked about
        const apply = (step: { state: HintState; beat: boolean }) => {
          state = step.state;
          if (!step.beat) return;
          underWay += 1;
          unseen = false;
        };
        for (const event of [...events, 'done', 'done']) {
          if (event === 'hint') {
            unseen = true;
            apply(onHint(state));
          } else if (underWay > 0) {
            underWay -= 1;
            apply(onExtraBeatDone(state));
          }
          expect(underWay).toBeLessThanOrEqual(1);
        }
        expect([unseen, underWay]).toEqual([false, 0]);
      }),
    );
  });
});
