import { accessSync, constants, readFileSync } from 'node:fs';
import { isIPv6 } from 'node:net';
import { join } from 'node:path';
import { searchPath } from '@understudy/platform';
import type { AddressHolder } from '../ports/address-holder.port.ts';
import { listOf, objectionTo, type VirtualAddresses } from './subnet.ts';

const PROGRAMS = ['ip', 'ss', 'perl'];
const CAP_NET_ADMIN = 12n;
const CAP_NET_RAW = 13n;

/** One server of the pair, and the address of the other, as they know one another at registration. */
export interface ServersOfPair {
  readonly ownName: string;
  readonly ownAddress: string;
  readonly peerAddress: string;
}

/** Why this server could not hold the virtual IP of a pair: asked on both servers before they are one. */
export class VirtualIpRequirements {
  /** @param holder the configured interface; null: none is configured */
  constructor(
    private readonly holder: AddressHolder | null,
    private readonly inability: () => string | null = whatIsMissing,
  ) {}

  /** One sentence for each field that cannot be; empty when all can. */
  objections(wanted: VirtualAddresses, servers: ServersOfPair): { pointer: string; message: string }[] {
    const { ownName, ownAddress, peerAddress } = servers;
    const addresses = listOf(wanted);
    if (addresses.length === 0) return [];
    const field = (address: string) => (isIPv6(address) ? '/virtualIp/ipv6' : '/virtualIp/ipv4');
    const all = (message: string) => addresses.map((address) => ({ pointer: field(address), message }));
    const { holder } = this;
    if (holder === null)
      return all(`${ownName}: virtualIp.interface is missing in its configuration: set it to the network interface`);
    const missing = this.inability();
    if (missing !== null) return all(`${ownName}: ${missing}`);
    if (wanted.ipv4 === null && !(isIPv6(ownAddress) && isIPv6(peerAddress)))
      return all('an IPv6 address alone needs servers that are registered by IPv6 addresses: give an IPv4 address too');
    const network = { interfaceName: holder.name, present: holder.present, ownAddress, peerAddress };
    return addresses.flatMap((address) => {
      const objection = objectionTo(address, network);
      return objection === null ? [] : [{ pointer: field(address), message: `${ownName}: ${objection}` }];
    });
  }

  /** As `objections`, and whether somebody has an address already, which takes about 0.1 s. */
  async objectionsNow(
    wanted: VirtualAddresses,
    servers: ServersOfPair,
  ): Promise<{ pointer: string; message: string }[]> {
    const objections = this.objections(wanted, servers);
    if (objections.length > 0 || this.holder === null) return objections;
    const { holder } = this;
    const inUse = await Promise.all(
      listOf(wanted).map(async (address) => {
        if (holder.has(address)) return [];
        const other = await holder.neighbourWith(address, new AbortController().signal);
        const pointer = isIPv6(address) ? '/virtualIp/ipv6' : '/virtualIp/ipv4';
        return other === null ? [] : [{ pointer, message: `${address} is in use by ${other} on ${holder.name}` }];
      }),
    );
    return inUse.flat();
  }
}

/** What this process lacks to hold an address, as a sentence; null: nothing. */
function whatIsMissing(): string | null {
  const effective = /^CapEff:\s*([0-9a-f]+)$/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1] ?? '0';
  const has = (capability: bigint) => ((BigInt(`0x${effective}`) >> capability) & 1n) === 1n;
  if (!has(CAP_NET_ADMIN) || !has(CAP_NET_RAW))
    return 'a virtual IP needs the capabilities NET_ADMIN and NET_RAW: run the server as root, or give its container both';
  const absent = PROGRAMS.filter((program) => !isInstalled(program));
  return absent.length === 0 ? null : `a virtual IP needs ${absent.join(' and ')}: install iproute2 and perl-base`;
}

function isInstalled(program: string): boolean {
  return searchPath()
    .split(':')
    .some((directory) => {
      try {
        accessSync(join(directory, program), constants.X_OK);
        return true;
      } catch {
        return false;
      }
    });
}
