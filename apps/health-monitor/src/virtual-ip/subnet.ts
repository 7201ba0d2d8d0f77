import { BlockList, isIP } from 'node:net';
import type { NetworkInterfaceInfo } from 'node:os';

/** The addresses under which the active server of the pair is reached, as text; null: none of that family. */
export interface VirtualAddresses {
  readonly ipv4: string | null;
  readonly ipv6: string | null;
}

/** A pair without a virtual IP. */
export const NO_VIRTUAL_ADDRESSES: VirtualAddresses = { ipv4: null, ipv6: null };

/** Where an address shall be held, and by which servers. */
export interface SharedNetwork {
  readonly interfaceName: string;
  /** What the interface carries, as the operating system tells it; empty when it is missing or down. */
  readonly present: readonly Pick<NetworkInterfaceInfo, 'address' | 'family' | 'cidr' | 'internal'>[];
  /** Address or host name by which each of the two servers is reached. */
  readonly ownAddress: string;
  readonly peerAddress: string;
}

/** Addresses as an operator gives them, in the way in which they are kept. */
export function addressesOf({
  ipv4,
  ipv6,
}: {
  ipv4?: string | undefined;
  ipv6?: string | undefined;
}): VirtualAddresses {
  return { ipv4: ipv4 ?? null, ipv6: ipv6 === undefined ? null : canonical(ipv6) };
}

/** Those that are set. */
export function listOf({ ipv4, ipv6 }: VirtualAddresses): string[] {
  return [ipv4, ipv6].filter((address) => address !== null);
}

/** Whether two texts are the same address: IPv6 is written in many ways. */
export function isSameAddress(one: string, other: string): boolean {
  return isIP(one) !== 0 && isIP(one) === isIP(other) && contains(prefixOf(one), other);
}

/** The one way in which an address is kept: lower case and short, as the operating system tells it. */
export function canonical(address: string): string {
  return isIP(address) === 6 ? new URL(`http://[${address}]`).hostname.slice(1, -1) : address;
}

/** Bits of an address of that family. */
function lengthOf(address: string): 32 | 128 {
  return isIP(address) === 6 ? 128 : 32;
}

/** The address alone, as a prefix: it does not make its neighbours reachable. */
export function prefixOf(address: string): string {
  return `${address}/${lengthOf(address)}`;
}

/** Why an address cannot be held on that network by either of two servers; null when it can. */
export function objectionTo(address: string, network: SharedNetwork): string | null {
  const { interfaceName, present, ownAddress, peerAddress } = network;
  if (present.length === 0) return `virtualIp.interface: there is no interface ${interfaceName} that is up`;
  if (present.some(({ internal }) => internal))
    return `virtualIp.interface: ${interfaceName} is the loopback interface, which no client reaches`;
  const family = isIP(address) === 6 ? 'IPv6' : 'IPv4';
  // an address that this product holds has a prefix of its own length: it is in no subnet but itself
  const own = present.filter((entry) => entry.family === family && !entry.cidr?.endsWith(`/${lengthOf(address)}`));
  const subnet = own.find(({ cidr }) => cidr !== null && contains(cidr, address))?.cidr;
  if (!subnet) {
    const known = own.map(({ cidr }) => cidr).join(', ');
    return `${address} is not in the subnet of ${interfaceName} (${known || `no ${family} address`}): a virtual IP needs both servers in one subnet`;
  }
  const servers = [...own.map((entry) => entry.address), ownAddress, peerAddress];
  if (servers.some((server) => isSameAddress(server, address))) return `${address} is the address of a server`;
  for (const server of [ownAddress, peerAddress]) {
    if (isIP(server) === isIP(address) && !contains(subnet, server))
      return `${server} is not in the subnet of ${interfaceName} (${subnet}): a virtual IP needs both servers in one subnet`;
  }
  return isHostAddress(address, subnet) ? null : `${address} is the first or the last address of ${subnet}: no host's`;
}

function contains(cidr: string, address: string): boolean {
  const [network = '', length = ''] = cidr.split('/');
  const family = isIP(network) === 6 ? 'ipv6' : 'ipv4';
  if (isIP(network) !== isIP(address)) return false;
  const list = new BlockList();
  list.addSubnet(network, Number(length), family);
  return list.check(address, family);
}

/** Neither the subnet's own address nor, in IPv4, its broadcast address; two hosts on a point-to-point link need neither. */
function isHostAddress(address: string, cidr: string): boolean {
  const length = Number(cidr.split('/')[1]);
  if (isIP(address) === 6) return !contains(prefixOf(address), subnetRouterAddress(cidr));
  if (length >= 31) return true;
  const mask = 0xffffffff >>> length;
  const host = (address.split('.').reduce((bits, octet) => bits * 256 + Number(octet), 0) & mask) >>> 0;
  return host !== 0 && host !== mask;
}

/** The all-zero host of an IPv6 subnet, which is every router's. */
function subnetRouterAddress(cidr: string): string {
  const [address = '', length = ''] = cidr.split('/');
  const groups = groupsOf(address).map((group, index) => {
    const bits = Math.min(16, Math.max(0, Number(length) - index * 16));
    return group & (0xffff << (16 - bits)) & 0xffff;
  });
  return groups.map((group) => group.toString(16)).join(':');
}

/** The eight groups of an IPv6 address. */
function groupsOf(address: string): number[] {
  const [head = '', tail] = canonical(address).split('::');
  const numbers = (text: string) => (text === '' ? [] : text.split(':').map((group) => Number.parseInt(group, 16)));
  const [front, back] = [numbers(head), numbers(tail ?? '')];
  return [...front, ...Array<number>(8 - front.length - back.length).fill(0), ...back];
}
