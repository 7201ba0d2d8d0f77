import { describe, expect, it } from '@jest/globals';
import type { StatusView } from '@understudy/contracts';
import { operatorSteps, restOf } from './rest.ts';

function status(name: 'alpha' | 'beta', changes: Partial<StatusView> = {}): StatusView {
  const isActive = name === 'alpha';
  return {
    node: { name, address: '', homeRole: isActive ? 'primary' : 'secondary', version: '' },
    state: isActive ? 'Primary Active' : 'Secondary Syncing',
    currentRole: isActive ? 'active' : 'standby',
    peer: { name: '', address: '', state: null, reachable: true, lastHeartbeatAt: null, roundTripMs: null },
    database: { protected: isActive, streaming: true },
    processes: [],
    availableActions: [],
    maintenance: null,
    witness: { kind: 'nats', reachable: true, holder: null, leaseRemainingSeconds: 2 },
    operation: null,
    ...changes,
  } as StatusView;
}

const alpha = status('alpha');
const beta = status('beta');
const unprotected = { ...alpha.database, protected: false };

describe('a pair at rest', () => {
  it('has one active, protected server, with either role', () => {
    expect(restOf({ alpha, beta }, true)).toEqual({ active: 'alpha' });
    const swapped = {
      alpha: status('alpha', { state: 'Primary Syncing', currentRole: 'standby' }),
      beta: status('beta', { state: 'Secondary Active', currentRole: 'active', database: alpha.database }),
    };
    expect(restOf(swapped, true)).toEqual({ active: 'beta' });
  });

  it.each([
    ['a server that does not answer', { alpha: null, beta }, 'alpha does not answer'],
    ['an active server alone', { alpha: status('alpha', { state: 'Primary Lost Secondary' }), beta }, 'Primary Lost'],
    ['two that serve', { alpha, beta: status('beta', { currentRole: 'active' }) }, 'both serve'],
    ['no protection', { alpha: status('alpha', { database: unprotected }), beta }, 'not protected'],
    ['no stream', { alpha, beta: status('beta', { database: { ...beta.database, streaming: false } }) }, 'not stream'],
    ['a lost peer', { alpha, beta: status('beta', { peer: null }) }, 'beta does not reach its peer'],
    ['no witness', { alpha, beta: status('beta', { witness: null }) }, 'does not reach the witness'],
    [
      'planned work',
      { alpha: status('alpha', { maintenance: { until: '', minutes: 1, reason: '' } }), beta },
      'maintenance on alpha',
    ],
  ])('is not one with %s', (_, pair, reason) => {
    const rest = restOf(pair, true);
    expect('reason' in rest ? rest.reason : 'at rest').toContain(reason);
  });

  it('needs no witness where there is none', () => {
    expect(restOf({ alpha, beta: status('beta', { witness: null }) }, false)).toEqual({ active: 'alpha' });
  });
});

describe('what an operator does', () => {
  it('is nothing where nothing is offered', () => {
    expect(operatorSteps({ alpha, beta: null })).toEqual([]);
  });

  it('is what the status offers, and a loss of data is accepted last', () => {
    const offering = status('beta', { availableActions: ['failover', 'maintenance'] });
    expect(operatorSteps({ alpha: null, beta: offering }).map(({ request }) => request)).toEqual([
      { path: '/ha/failover', body: { acceptDataLoss: false } },
      { path: '/ha/failover', body: { acceptDataLoss: true } },
    ]);
  });

  it('is a restart where a full copy failed', () => {
    const failed = status('alpha', { state: 'Primary Database Copy Failed' });
    expect(operatorSteps({ alpha: failed, beta })).toMatchObject([{ on: 'alpha', request: null }]);
  });
});
