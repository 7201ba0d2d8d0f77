import { expect, it } from '@jest/globals';
import { atStart, decide, type HaEvent, newRecord, type ServerRecord } from '@understudy/ha-core';
import { Repetition } from './repetition.ts';

const SETTINGS = {
  maximumLagBytes: 0,
  minimumBetweenFailoversMs: 0,
  replication: 'async' as const,
  wordLastsMs: 0,
  witness: null,
};

function repetitions(record: Partial<ServerRecord>, causes: readonly HaEvent[]): boolean[] {
  const said = new Repetition();
  let server = atStart({ ...newRecord('primary', 'run'), pairId: 'pair', ...record }, SETTINGS, 0);
  return causes.map((cause) => {
    const decision = decide(server, cause);
    server = decision.server;
    expect(decision.rule).not.toBeNull();
    return said.isOne(decision, cause, cause.atMs);
  });
}

it('what the peer says again and again is said once in a minute', () => {
  const refused = (atMs: number): HaEvent => ({
    type: 'consent-answered',
    nonce: 'n',
    granted: false,
    reason: 'it serves',
    atMs,
  });
  const said = new Repetition();
  const record = { ...newRecord('primary', 'run'), pairId: 'pair', state: 'primary-alone', epoch: 3 } as const;
  const asking = { ...record, request: { epoch: 3, nonce: 'n', sentAtMs: 0 } };
  const decision = decide(atStart(asking, SETTINGS, 0), refused(1));
  expect([1, 1000, 61_000].map((atMs) => said.isOne(decision, refused(atMs), atMs))).toEqual([false, true, false]);
});

it('what an operator orders is said each time', () => {
  const order = (failoverType: 'manual' | 'automatic', atMs: number): HaEvent => ({
    type: 'operator-failover-type',
    failoverType,
    atMs,
  });
  expect(repetitions({ state: 'primary-active', epoch: 1 }, [order('automatic', 1), order('manual', 2)])).toEqual([
    false,
    false,
  ]);
});
