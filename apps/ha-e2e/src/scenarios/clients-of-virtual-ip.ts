import { afterEach, expect } from '@jest/globals';
import { AddressWatch } from '../real-pair/address-watch.ts';
import type { Host } from '../real-pair/host.ts';
import { ip } from '../real-pair/namespaces.ts';
import { DATABASE_SECTION } from '../real-pair/node-configuration.ts';
import type { RealPair } from '../real-pair/real-pair.ts';
import type { UnderstudyServer } from '../real-pair/understudy-server.ts';
import type { Writer } from '../writer/writer.ts';

/** The virtual IP of the pairs here. */
export const VIRTUAL_IP = { ipv4: '10.77.0.100', ipv6: 'fd77::100' } as const;
/** The same as a list. */
export const ADDRESSES = Object.values(VIRTUAL_IP);
/** The lifetime with the stage’s times, and what the kernel adds, which does not wake an idle processor for it, and a busy machine. */
export const LIFETIME_MS = 4000 + 5000;

/** What both servers need in their configuration for it. */
export const SECTIONS = {
  virtualIp: { interface: 'eth0' },
  database: {
    ...DATABASE_SECTION,
    accessRules: [...DATABASE_SECTION.accessRules, 'host all all fd77::/64 trust'],
  },
};

/** Between two holders packets go nowhere: how long a client waits then is its own part of an outage. */
export const IMPATIENT = { connectTimeoutMs: 100 };

/** The stage itself has no IPv6. */
export function prepareHost(host: Host): void {
  ip(['-n', host.namespace, 'address', 'add', `fd77::${host.name.slice(1)}/64`, 'dev', 'eth0', 'nodad']);
}

const watches: AddressWatch[] = [];
afterEach(() => {
  for (const watch of watches.splice(0)) watch.stop();
});

/** Watches who of the pair has the addresses, to the end of the scenario. */
export function watchAddresses(pair: RealPair, addresses: readonly string[]): AddressWatch {
  const watch = new AddressWatch(
    pair.servers.map(({ host }) => host),
    addresses,
  );
  watches.push(watch);
  return watch;
}

/** Watches who has the addresses, and starts clients that know nothing else. */
export async function clientsOfVirtualIp(pair: RealPair): Promise<{ watch: AddressWatch; writers: Writer[] }> {
  const watch = watchAddresses(pair, ADDRESSES);
  const writers: Writer[] = [];
  for (const target of ADDRESSES) writers.push(await pair.startWriter([`${target}:5432`], pair.stage.n3, IMPATIENT));
  for (const writer of writers) await writer.isWriting({ withinMs: 20_000 });
  return { watch, writers };
}

/** Every client writes, within the time. */
export async function allWrite(writers: readonly Writer[], withinMs: number): Promise<void> {
  for (const writer of writers) await writer.isWriting({ withinMs });
}

/** The addresses are on this server, as its status says and as the kernel has it. */
export async function holds(server: UnderstudyServer, watch: AddressWatch): Promise<void> {
  await server.shows('that it holds the virtual IP', { withinMs: 10_000 }, ({ virtualIp }) => virtualIp.held);
  for (const address of ADDRESSES) expect(watch.holdersOf(address)).toEqual([server.host.name]);
}

/** Every acknowledged row is on the survivor. */
export async function nothingIsLost(
  pair: RealPair,
  writers: readonly Writer[],
  survivor: UnderstudyServer,
): Promise<void> {
  for (const writer of writers) expect((await pair.finish(writer, survivor)).lost).toEqual([]);
}

/** The longest outage of each client since then, in milliseconds; not a number: there was none. */
export const outages = (writers: readonly Writer[], sinceMs: number) =>
  writers.map(({ log }) => Math.round(log.longestOutageSince(sinceMs)?.durationMs ?? Number.NaN));

/** Whether the kernel of the host has the address. */
export const carries = (host: Host, address: string) =>
  ip(['-n', host.namespace, '-o', 'address', 'show']).includes(` ${address}/`);

/** None of them. */
export const carriesNone = (host: Host) => ADDRESSES.every((address) => !carries(host, address));
