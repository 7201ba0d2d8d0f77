import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import {
  climb,
  INITIAL_LADDER,
  type LadderEvent,
  type LadderOutput,
  type LadderState,
  type LadderTimes,
  nextRungAtMs,
} from './detection-ladder.ts';

/** The specification's times. */
const TIMES: LadderTimes = { intervalMs: 5000, missedLimit: 3, graceMs: 10_000, probeTimeoutMs: 5000 };

/** Runs events, with a tick every second between them, and gives what was said and when. */
function run(events: readonly LadderEvent[], untilMs: number, times = TIMES, tickMs = 1000) {
  const said: { atMs: number; output: LadderOutput }[] = [];
  let state = climb(INITIAL_LADDER, { type: 'watch', atMs: 0 }, times).state;
  const queue = [...events];
  for (let atMs = 0; atMs <= untilMs; atMs += tickMs) {
    while (queue[0] && queue[0].atMs <= atMs) step(queue.shift() as LadderEvent);
    step({ type: 'tick', atMs });
  }
  function step(event: LadderEvent) {
    const result = climb(state, event, times);
    state = result.state;
    for (const output of result.outputs) said.push({ atMs: event.atMs, output });
  }
  return { said, state };
}

const types = (said: { atMs: number; output: LadderOutput }[]) =>
  said.map(({ atMs, output }) => `${atMs} ${output.type}`);
const heard = (atMs: number): LadderEvent => ({ type: 'heard', atMs });

describe('the detection ladder', () => {
  const failed = { answered: false, detail: 'ECONNREFUSED' };
  const answered = { answered: true, detail: 'status 503' };

  it.each<[string, LadderEvent[], number, string[]]>([
    ['is quiet while beats come', [heard(4000), heard(9000), heard(14_000)], 28_000, []],
    [
      'calls a peer lost after three intervals, and says so every interval',
      [heard(2000)],
      23_000,
      ['17000 peer-lost', '22000 peer-lost'],
    ],
    ['goes the same way with a peer that was never heard', [], 16_000, ['15000 peer-lost']],
    [
      'opens the URL after the grace time; refused at once means confirmed at once',
      [{ type: 'probe-finished', atMs: 25_500, id: 1, verdict: failed }],
      29_000,
      ['15000 peer-lost', '20000 peer-lost', '25000 peer-lost', '25000 open-probe', '25500 peer-confirmed-lost'],
    ],
    [
      'concludes by itself when the URL does not answer in time, and opens it again',
      [],
      31_000,
      [
        '15000 peer-lost',
        '20000 peer-lost',
        '25000 peer-lost',
        '25000 open-probe',
        '30000 peer-lost',
        '30000 peer-confirmed-lost',
        '30000 open-probe',
      ],
    ],
    [
      'repeats the answer of the URL with a new attempt every interval',
      [
        { type: 'probe-finished', atMs: 25_500, id: 1, verdict: answered },
        { type: 'probe-finished', atMs: 30_500, id: 2, verdict: failed },
      ],
      31_000,
      [
        '15000 peer-lost',
        '20000 peer-lost',
        '25000 peer-lost',
        '25000 open-probe',
        '25500 peer-answered-probe',
        '30000 peer-lost',
        '30000 peer-answered-probe',
        '30000 open-probe',
        '30500 peer-confirmed-lost',
      ],
    ],
    [
      'drops the outcome of an attempt that belongs to an earlier silence',
      [heard(26_000), { type: 'probe-finished', atMs: 26_500, id: 1, verdict: failed }],
      30_000,
      ['15000 peer-lost', '20000 peer-lost', '25000 peer-lost', '25000 open-probe'],
    ],
    ['starts anew when the peer is heard', [heard(16_000)], 32_000, ['15000 peer-lost', '31000 peer-lost']],
    [
      'says nothing while our own bus is down and counts from its return',
      [
        { type: 'bus-lost', atMs: 10_000 },
        { type: 'bus-restored', atMs: 60_000 },
      ],
      76_000,
      ['75000 peer-lost'],
    ],
    ['says nothing when nobody is watched', [{ type: 'unwatch', atMs: 1000 }], 60_000, []],
  ])('%s', (_name, events, untilMs, expected) => {
    expect(types(run(events, untilMs).said)).toEqual(expected);
  });

  it('blames itself for a silence in which its own timer did not run', () => {
    let state = climb(INITIAL_LADDER, { type: 'watch', atMs: 0 }, TIMES).state;
    state = climb(state, { type: 'tick', atMs: 1000 }, TIMES).state;
    const woken = climb(state, { type: 'tick', atMs: 40_000 }, TIMES);
    expect(woken.outputs).toEqual([]);
    expect(nextRungAtMs(woken.state, TIMES)).toBe(55_000);
  });
});

const arbitraryTimes = fc.record({
  intervalMs: fc.integer({ min: 100, max: 10_000 }),
  missedLimit: fc.integer({ min: 1, max: 5 }),
  graceMs: fc.integer({ min: 0, max: 20_000 }),
  probeTimeoutMs: fc.integer({ min: 100, max: 20_000 }),
});
const arbitraryEvents = fc.array(
  fc.record({
    afterMs: fc.integer({ min: 0, max: 12_000 }),
    type: fc.constantFrom('heard', 'bus-lost', 'bus-restored', 'tick', 'probe-finished', 'watch', 'unwatch'),
    id: fc.integer({ min: 1, max: 4 }),
    answered: fc.boolean(),
  }),
  { maxLength: 60 },
);

describe('properties of the ladder', () => {
  it('never calls lost a peer that was heard within the limit, nor anybody while the bus is down or nobody is watched', () => {
    fc.assert(
      fc.property(arbitraryTimes, arbitraryEvents, (times, steps) => {
        let state: LadderState = INITIAL_LADDER;
        let atMs = 0;
        let lifeAtMs = 0;
        for (const { afterMs, type, id, answered } of steps) {
          atMs += afterMs;
          const event = (
            type === 'probe-finished' ? { type, atMs, id, verdict: { answered, detail: 'x' } } : { type, atMs }
          ) as LadderEvent;
          const before = state;
          const { state: next, outputs } = climb(before, event, times);
          state = next;
          if (['heard', 'watch', 'bus-restored'].includes(type)) {
            lifeAtMs = atMs;
          }
          for (const output of outputs) {
            expect(before.watching && before.busConnected).toBe(true);
            expect(atMs - lifeAtMs).toBeGreaterThanOrEqual(times.missedLimit * times.intervalMs);
            if (output.type === 'peer-confirmed-lost') {
              expect(atMs - lifeAtMs).toBeGreaterThanOrEqual(times.missedLimit * times.intervalMs + times.graceMs);
            }
          }
        }
      }),
      { numRuns: 500 },
    );
  });

  it('confirms a dead host within missed intervals + grace + probe timeout when ticked when it asks to be', () => {
    fc.assert(
      fc.property(arbitraryTimes, (times) => {
        let state = climb(INITIAL_LADDER, { type: 'watch', atMs: 0 }, times).state;
        const limitMs = times.missedLimit * times.intervalMs + times.graceMs + times.probeTimeoutMs;
        let atMs = 0;
        for (let ticks = 0; ticks < 10_000; ticks += 1) {
          atMs = Math.min(atMs + times.intervalMs, nextRungAtMs(state, times) ?? Number.POSITIVE_INFINITY);
          const step = climb(state, { type: 'tick', atMs }, times);
          state = step.state;
          if (step.outputs.some((output) => output.type === 'peer-confirmed-lost')) break;
        }
        expect(atMs).toBe(limitMs);
      }),
    );
  });

  it('keeps stating the facts at least every two intervals for as long as they last', () => {
    fc.assert(
      fc.property(arbitraryTimes, fc.integer({ min: 1, max: 30 }), (times, rounds) => {
        let state = climb(INITIAL_LADDER, { type: 'watch', atMs: 0 }, times).state;
        const endMs = times.missedLimit * times.intervalMs + rounds * times.intervalMs;
        let statedAtMs = times.missedLimit * times.intervalMs;
        for (let atMs = 0; atMs <= endMs; ) {
          atMs = Math.min(atMs + times.intervalMs, nextRungAtMs(state, times) ?? Number.POSITIVE_INFINITY);
          const step = climb(state, { type: 'tick', atMs }, times);
          state = step.state;
          if (step.outputs.some((output) => output.type === 'peer-lost')) statedAtMs = atMs;
          expect(atMs - statedAtMs).toBeLessThanOrEqual(times.intervalMs);
        }
      }),
    );
  });
});
