import { describe, expect, it } from '@jest/globals';
import type { AddressHolder } from '../ports/address-holder.port.ts';
import { VirtualIpRequirements } from './virtual-ip-requirements.ts';

const SERVERS = { ownName: 'alpha', ownAddress: '10.77.0.1', peerAddress: '10.77.0.2' };
const IPV4 = { ipv4: '10.77.0.100', ipv6: null };
const BOTH = { ipv4: '10.77.0.100', ipv6: 'fd77::64' };

const eth0 = {
  name: 'eth0',
  present: [{ address: '10.77.0.1', family: 'IPv4', cidr: '10.77.0.1/24', internal: false }],
} as unknown as AddressHolder;
const able = () => null;

describe('what a server needs to hold a virtual IP', () => {
  it('nothing, for a pair without one', () => {
    expect(new VirtualIpRequirements(null).objections({ ipv4: null, ipv6: null }, SERVERS)).toEqual([]);
  });

  it('an interface in its configuration: the sentence names the server and the field, at each address that was given', () => {
    const message = 'alpha: virtualIp.interface is missing in its configuration: set it to the network interface';
    expect(new VirtualIpRequirements(null).objections(BOTH, SERVERS)).toEqual([
      { pointer: '/virtualIp/ipv4', message },
      { pointer: '/virtualIp/ipv6', message },
    ]);
  });

  it('the means to hold it', () => {
    const [objection] = new VirtualIpRequirements(eth0, () => 'a virtual IP needs perl').objections(IPV4, SERVERS);
    expect(objection?.message).toBe('alpha: a virtual IP needs perl');
  });

  it('a subnet for each family', () => {
    const requirements = new VirtualIpRequirements(eth0, able);
    expect(requirements.objections(IPV4, SERVERS)).toEqual([]);
    expect(requirements.objections(BOTH, SERVERS)).toEqual([
      { pointer: '/virtualIp/ipv6', message: expect.stringContaining('not in the subnet of eth0 (no IPv6 address)') },
    ]);
  });

  it('an IPv4 address too, unless the servers know one another by IPv6', () => {
    const requirements = new VirtualIpRequirements(eth0, able);
    const ipv6 = { ipv4: null, ipv6: 'fd77::64' };
    expect(requirements.objections(ipv6, SERVERS)[0]?.message).toContain('give an IPv4 address too');
    const byIpv6 = { ...SERVERS, ownAddress: 'fd77::1', peerAddress: 'fd77::2' };
    expect(requirements.objections(ipv6, byIpv6)[0]?.message).not.toContain('give an IPv4 address too');
  });
});
