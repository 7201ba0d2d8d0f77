import { describe, expect, it } from '@jest/globals';
import type { PeerIdentity, RegistrationHello } from '@understudy/contracts';
import type { AuthenticationKeyStore } from '../registration/index.ts';
import type { HealthMonitorService } from './health-monitor.service.ts';
import type { Pairing } from './pairing.ts';
import { registrationGate } from './registration-gate.ts';

const ALPHA = 'the certificate of alpha';

/** The gate of a secondary that takes a full copy for the pair "one" of alpha, with what it was told to do. */
function registering(state = 'ha-initializing') {
  const done: string[] = [];
  const monitor = {
    record: { pairId: 'one', state, inFlight: { operationId: 'copy' } },
    submit: async ({ type }: { type: string }) => {
      done.push(type);
      return { rule: 'S-10' };
    },
  };
  const pairing = {
    ownFacts: { name: 'beta' },
    peer: { name: 'alpha', certificatePem: ALPHA },
    accept: async () => {
      done.push('pinned');
    },
  };
  const gate = registrationGate(
    monitor as unknown as HealthMonitorService,
    pairing as unknown as Pairing,
    {} as AuthenticationKeyStore,
  );
  return { gate, done };
}

function hello(pairId: string, certificatePem = ALPHA): RegistrationHello {
  return { pairId, certificatePem } as RegistrationHello;
}

describe('a secondary that is being registered', () => {
  it('lets the same primary ask again for the same pair, and does nothing twice: the answer may have been lost', async () => {
    const { gate, done } = registering();
    expect(gate.alreadyPaired(hello('one'))).toBeNull();
    expect(gate.notReady(hello('one'))).toBeNull();
    await gate.accepted({ peer: {} as PeerIdentity, hello: hello('one') });
    expect(done).toEqual([]);
  });

  it('refuses another pair and another primary', () => {
    const { gate } = registering();
    expect(gate.alreadyPaired(hello('two'))).toBe('beta is paired with alpha already');
    expect(gate.alreadyPaired(hello('one', 'the certificate of mallory'))).toBe('beta is paired with alpha already');
  });

  it('refuses the same pair once its registration has come about', () => {
    const { gate } = registering('secondary-syncing');
    expect(gate.alreadyPaired(hello('one'))).toBe('beta is paired with alpha already');
  });
});
