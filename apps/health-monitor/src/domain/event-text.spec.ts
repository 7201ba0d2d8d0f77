import { describe, expect, it } from '@jest/globals';
import { atStart, decide, newRecord, type ServerRecord } from '@understudy/ha-core';
import { eventOf } from './event-text.ts';
import { stepText } from './step-text.ts';

const SETTINGS = {
  maximumLagBytes: 0,
  minimumBetweenFailoversMs: 0,
  replication: 'async' as const,
  wordLastsMs: 0,
  witness: null,
};

describe('the event list', () => {
  it('says why the peer refuses its consent', () => {
    const record: ServerRecord = {
      ...newRecord('primary', 'run'),
      pairId: 'pair',
      state: 'primary-alone',
      epoch: 3,
      request: { epoch: 3, nonce: 'n', sentAtMs: 0 },
    };
    const event = { type: 'consent-answered', nonce: 'n', granted: false, reason: 'it serves', atMs: 1 } as const;
    const decision = decide(atStart(record, SETTINGS, 0), event);
    expect(eventOf(decision, event)?.message).toBe('Primary Alone: the secondary refuses its consent (it serves)');
  });

  it('says that an operator has cancelled, and what failed in words', () => {
    const record: ServerRecord = {
      ...newRecord('secondary', 'run'),
      ...{ pairId: 'pair', state: 'secondary-failover', operation: { id: 'o', kind: 'forced-failover' } },
    };
    const server = atStart(record, SETTINGS, 0);
    const cancel = { type: 'operator-cancel', atMs: 1 } as const;
    const decision = decide(server, cancel);
    expect(eventOf(decision, cancel)?.message).toContain('the failover did not come about (cancelled by an operator)');
    expect(decision.operationEnded?.reason).toContain('cancelled by an operator');
    const failure = { effect: 'request-consent', code: 'c', message: 'the other server does not answer' } as const;
    const failed = { type: 'effect-failed', decisionId: 'd', ...failure, atMs: 1 } as const;
    const inFlight = { ...server, record: { ...record, inFlight: { decisionId: 'd', effects: [] } } };
    expect(eventOf(decide(inFlight, failed), failed)?.message).toContain(
      '(asking the other server for its consent: the other server does not answer)',
    );
  });

  it('tells steps in words, each once', () => {
    expect(stepText('prepare-source: prepare-source')).toBe('preparing the database for a standby');
    expect(stepText('follow-peer: full copy')).toBe('following the other server: full copy');
  });
});
