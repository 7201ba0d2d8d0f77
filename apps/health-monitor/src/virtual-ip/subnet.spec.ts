import { describe, expect, it } from '@jest/globals';
import { isSameAddress, objectionTo, type SharedNetwork } from './subnet.ts';

const entry = (cidr: string, internal = false) => ({
  address: cidr.split('/')[0] ?? '',
  family: cidr.includes(':') ? ('IPv6' as const) : ('IPv4' as const),
  cidr,
  internal,
});

/** The specification's example: /27, usable up to .30. */
const LAN: SharedNetwork = {
  interfaceName: 'eth0',
  present: [entry('10.10.101.2/27'), entry('fd77::2/64'), entry('fe80::2/64')],
  ownAddress: '10.10.101.2',
  peerAddress: '10.10.101.3',
};

describe('which addresses both servers can share', () => {
  it.each(['10.10.101.1', '10.10.101.4', '10.10.101.30', 'fd77::1', 'fd77:0:0:0::64'])(
    '%s can be shared',
    (address) => {
      expect(objectionTo(address, LAN)).toBeNull();
    },
  );

  it.each([
    ['10.10.101.2', 'the address of a server'],
    ['10.10.101.3', 'the address of a server'],
    ['10.10.101.0', 'first or the last'],
    ['10.10.101.31', 'first or the last'],
    ['10.10.101.32', 'not in the subnet of eth0 (10.10.101.2/27)'],
    ['fd77::2', 'the address of a server'],
    ['fd77::', 'first or the last'],
    ['fd78::1', 'not in the subnet of eth0 (fd77::2/64, fe80::2/64)'],
  ])('%s is refused: %s', (address, reason) => {
    expect(objectionTo(address, LAN)).toContain(reason);
  });

  it.each<[string, Partial<SharedNetwork>, string]>([
    ['a missing interface', { present: [] }, 'there is no interface eth0 that is up'],
    ['the loopback interface', { present: [entry('10.10.101.2/27', true)] }, 'is the loopback interface'],
    ['a peer in another subnet', { peerAddress: '10.10.102.3' }, '10.10.102.3 is not in the subnet of eth0'],
    ['a server that is reached elsewhere', { ownAddress: '10.9.0.1' }, '10.9.0.1 is not in the subnet of eth0'],
  ])('%s is refused', (_, change, reason) => {
    expect(objectionTo('10.10.101.4', { ...LAN, ...change })).toContain(reason);
  });

  it('an address that is held already is no subnet of its own', () => {
    const held = { ...LAN, present: [...LAN.present, entry('10.10.101.4/32')] };
    expect(objectionTo('10.10.101.4', held)).toBeNull();
    expect(objectionTo('10.10.105.4', { ...LAN, present: [...LAN.present, entry('10.10.105.4/32')] })).toContain(
      'not in the subnet',
    );
  });

  it('knows an IPv6 address however it is written', () => {
    expect(isSameAddress('fd77:0::a', 'FD77::000a')).toBe(true);
    expect(isSameAddress('fd77::a', 'fd77::b')).toBe(false);
    expect(isSameAddress('alpha.example', 'alpha.example')).toBe(false);
  });
});
