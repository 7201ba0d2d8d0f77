import { describe, expect, it } from '@jest/globals';
import { atStart, decide, newRecord, type ServerRecord } from '@understudy/ha-core';
import { eventOf } from './event-text.ts';

describe('the event list', () => {
  it('says why the peer refuses its consent', () => {
    const record: ServerRecord = {
      ...newRecord('primary', 'run'),
      pairId: 'pair',
      state: 'primary-alone',
      epoch: 3,
      request: { epoch: 3, nonce: 'n', sentAtMs: 0 },
    };
    const settings = {
      maximumLagBytes: 0,
      minimumBetweenFailoversMs: 0,
      replication: 'async' as const,
      wordLastsMs: 0,
      witness: null,
    };
    const event = { type: 'consent-answered', nonce: 'n', granted: false, reason: 'it serves', atMs: 1 } as const;
    const decision = decide(atStart(record, settings, 0), event);
    expect(eventOf(decision, event)?.message).toBe('Primary Alone: the secondary refuses its consent (it serves)');
  });
});
