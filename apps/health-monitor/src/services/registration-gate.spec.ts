import { describe, expect, it } from '@jest/globals';
import type { PeerIdentity, RegistrationHello } from '@understudy/contracts';
import { atStart, newRecord, type Server } from '@understudy/ha-core';
import type { AuthenticationKeyStore } from '../registration/index.ts';
import { NO_VIRTUAL_ADDRESSES, VirtualIpRequirements } from '../virtual-ip/index.ts';
import type { HealthMonitorService } from './health-monitor.service.ts';
import type { Pairing } from './pairing.ts';
import { registrationGate } from './registration-gate.ts';

const ALPHA = 'the certificate of alpha';
const WITHOUT_INTERFACE = new VirtualIpRequirements(null);
const VIRTUAL_IP = { ipv4: '10.77.0.100', ipv6: null };

/** The gate of a secondary that takes a full copy for the pair "one" of alpha, with what it was told to do. */
function registering(state = 'ha-initializing', virtualIp = NO_VIRTUAL_ADDRESSES) {
  const done: string[] = [];
  const monitor = {
    record: { pairId: 'one', state, inFlight: { operationId: 'copy' } },
    submit: async ({ type }: { type: string }) => {
      done.push(type);
      return { rule: 'S-10' };
    },
  };
  const pairing = {
    ownFacts: { name: 'beta', address: '10.77.0.2' },
    virtualIp,
    peer: { name: 'alpha', certificatePem: ALPHA },
    accept: async () => {
      done.push('pinned');
    },
  };
  const gate = registrationGate(
    monitor as unknown as HealthMonitorService,
    pairing as unknown as Pairing,
    {} as AuthenticationKeyStore,
    WITHOUT_INTERFACE,
    { objection: () => null },
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

  it('refuses a pair with a virtual IP that it could not hold, and says what it lacks', () => {
    const { gate } = registering();
    expect(gate.noVirtualIp({ ...hello('two'), virtualIp: VIRTUAL_IP })).toBe(
      'beta: virtualIp.interface is missing in its configuration: set it to the network interface',
    );
    expect(gate.noVirtualIp(hello('two'))).toBeNull();
    expect(gate.noVirtualIp({ ...hello('one'), virtualIp: VIRTUAL_IP })).toBeNull();
  });

  it('refuses the same pair once its registration has come about', () => {
    const { gate } = registering('secondary-syncing');
    expect(gate.alreadyPaired(hello('one'))).toBe('beta is paired with alpha already');
  });
});

/** The gate of an active secondary whose primary is lost, with what it was told to do. */
function withLostPrimary(isTaken = true, virtualIp = NO_VIRTUAL_ADDRESSES) {
  const done: string[] = [];
  const record = {
    ...newRecord('secondary', 'run'),
    ...({ state: 'secondary-active', pairId: 'one', hold: 2, epoch: 2, opened: true, complete: true } as const),
  };
  const view: Server = {
    ...atStart(
      record,
      { maximumLagBytes: 0, minimumBetweenFailoversMs: 0, replication: 'async', wordLastsMs: 0, witness: null },
      0,
    ),
    link: 'confirmed-lost',
  };
  const monitor = {
    record,
    view,
    submit: async ({ type }: { type: string }) => {
      done.push(type);
      return { rule: isTaken ? 'S-69' : null, refusal: 'no' };
    },
  };
  const pairing = {
    ownFacts: { name: 'beta', address: '10.77.0.2' },
    virtualIp,
    peer: { name: 'alpha', certificatePem: ALPHA },
    acceptInPlace: async () => {
      done.push('pinned');
      return async () => void done.push('pinned again');
    },
  };
  const gate = registrationGate(
    monitor as unknown as HealthMonitorService,
    pairing as unknown as Pairing,
    {} as AuthenticationKeyStore,
    WITHOUT_INTERFACE,
    { objection: () => null },
  );
  return { gate, done };
}

describe('an active secondary that has lost its primary', () => {
  const replacement = (pairId: string) => ({
    ...hello(pairId, 'the certificate of a new alpha'),
    replacePrimary: true as const,
  });

  it('refuses a registration, and names the way to replace the primary', () => {
    expect(withLostPrimary().gate.alreadyPaired(hello('two'))).toContain('--replace-primary');
  });

  it('refuses a primary that brings another virtual IP: clients know the present one', () => {
    const { gate } = withLostPrimary(true, VIRTUAL_IP);
    expect(gate.noVirtualIp(replacement('two'))).toBe(
      'the pair of beta has the virtual IP --virtual-ip 10.77.0.100: register with the same',
    );
    expect(withLostPrimary().gate.noVirtualIp({ ...replacement('two'), virtualIp: VIRTUAL_IP })).toContain(
      'has no virtual IP',
    );
  });

  it('pins the new primary, then adopts it', async () => {
    const { gate, done } = withLostPrimary();
    const asked = replacement('two');
    expect([gate.alreadyPaired(asked), gate.notReplaceable(asked), gate.notReady(asked)]).toEqual([null, null, null]);
    await gate.accepted({ peer: {} as PeerIdentity, hello: asked });
    expect(done).toEqual(['pinned', 'replacement-begun']);
  });

  it('pins the present primary again when it cannot adopt the new one', async () => {
    const { gate, done } = withLostPrimary(false);
    await expect(gate.accepted({ peer: {} as PeerIdentity, hello: replacement('two') })).rejects.toThrow('no');
    expect(done).toEqual(['pinned', 'replacement-begun', 'pinned again']);
  });

  it('lets the same new primary ask again for the same pair, and does nothing twice', async () => {
    const { gate, done } = withLostPrimary();
    const again = { ...hello('one'), replacePrimary: true as const };
    expect([gate.alreadyPaired(again), gate.notReplaceable(again), gate.notReady(again)]).toEqual([null, null, null]);
    await gate.accepted({ peer: {} as PeerIdentity, hello: again });
    expect(done).toEqual([]);
  });
});
