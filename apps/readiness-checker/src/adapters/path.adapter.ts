import { lookup, reverse } from 'node:dns/promises';
import { connect, isIP } from 'node:net';
import { networkInterfaces } from 'node:os';
import type { PeerIdentity } from '@understudy/contracts';
import { isLoopback, type ServiceEnvironment } from '@understudy/platform';
import type { Probe } from '../ports/probe.port.ts';
import { ping } from './ping.ts';
import { peerConnection, psql } from './psql.ts';

const CONNECTIONS = 5;
const CONNECT_MS = 800;
const SLOW_LOOKUP_MS = 1000;
/** What is asked of the peer: rows of 1 MiB, and how long they are taken. */
const TRANSFER_MIB = 64;
const TRANSFER_MS = 3500;
const LOGIN_MS = 3000;
const TRANSFER = `copy (select repeat('x', 1048575) from generate_series(1, ${TRANSFER_MIB})) to stdout`;

/** The way to the peer, really gone. */
export function pathProbes(env: ServiceEnvironment, readPeer: () => Promise<PeerIdentity | null>): Probe[] {
  const { configuration } = env;
  const requirePeer = async (): Promise<PeerIdentity> => {
    const peer = await readPeer();
    if (peer === null) throw new Error('HA is not configured: there is no other server yet');
    return peer;
  };
  return [
    {
      title: 'ping',
      fields: ['ping'],
      limitMs: 6000,
      measure: async (signal) => ({ ping: { value: await ping((await requirePeer()).address, signal) } }),
    },
    {
      title: 'latency',
      fields: ['latency'],
      limitMs: CONNECTIONS * CONNECT_MS + 500,
      isAlone: true,
      measure: async () => {
        const { address, ports } = await requirePeer();
        return { latency: { value: await latency(address, ports.healthMonitor) } };
      },
    },
    {
      title: 'names',
      fields: ['names'],
      limitMs: 6000,
      measure: async () => {
        const peer = await readPeer();
        const own = configuration.node.address;
        const hosts = peer === null ? [own] : [own, peer.address];
        const problems = [...(await problemsOfOwn(own)), ...(await Promise.all(hosts.map(problemsOfName))).flat()];
        return { names: { value: { shown: hosts.join(', '), problems } } };
      },
    },
    {
      title: 'throughput',
      fields: ['throughput'],
      limitMs: LOGIN_MS + TRANSFER_MS + 500,
      isAlone: true,
      measure: async () => {
        const connection = peerConnection(env, await requirePeer());
        // the way and the login work before the time counts; what hangs afterwards hangs by the size of its packets
        const { milliseconds, isWhole } = await psql(env, connection, 'select 1', LOGIN_MS);
        if (!isWhole) throw new Error('the other PostgreSQL does not answer within 3 s');
        const { bytes, milliseconds: took } = await psql(env, connection, TRANSFER, TRANSFER_MS);
        const seconds = Math.max(1, took - Math.min(milliseconds, took / 2)) / 1000;
        return { throughput: { value: { megabitsPerSecond: (bytes * 8) / 1e6 / seconds, bytes } } };
      },
    },
  ];
}

async function latency(host: string, port: number): Promise<{ milliseconds: number | null; problem: string | null }> {
  const times: number[] = [];
  let problem: string | null = null;
  for (let count = 0; count < CONNECTIONS; count++) {
    const result = await connectionMs(host, port);
    if (typeof result === 'number') times.push(result);
    else problem = result;
    // one that is dropped says enough
    if (times.length === 0 && problem !== null) break;
  }
  // the quickest is the way's own time, the others have waited for a busy machine too
  return { milliseconds: times.length === 0 ? null : Math.min(...times), problem };
}

function connectionMs(host: string, port: number): Promise<number | string> {
  return new Promise((resolve) => {
    const began = performance.now();
    const socket = connect({ host, port });
    const settle = (result: number | string) => {
      clearTimeout(timer);
      socket.destroy();
      resolve(result);
    };
    const timer = setTimeout(() => settle(`${host}:${port} gives no sign within ${CONNECT_MS / 1000} s`), CONNECT_MS);
    socket.once('connect', () => settle(performance.now() - began));
    socket.once('error', ({ code, message }: NodeJS.ErrnoException) => settle(`${host}:${port}: ${code ?? message}`));
  });
}

/** A name must lead to this machine, or the peer is sent elsewhere. */
async function problemsOfOwn(host: string): Promise<string[]> {
  const found = await lookup(host).catch(() => null);
  if (found === null) return [];
  const own = Object.values(networkInterfaces()).flatMap((addresses) => addresses?.map(({ address }) => address) ?? []);
  return isLoopback(found.address) || own.includes(found.address)
    ? []
    : [`${host} leads to ${found.address}, which is no address of this server`];
}

/** Forward and back. An address needs no name: nothing here looks one up. */
async function problemsOfName(host: string): Promise<string[]> {
  if (isIP(host) !== 0) return [];
  const began = performance.now();
  try {
    const { address } = await lookup(host);
    const took = performance.now() - began;
    const slow = took > SLOW_LOOKUP_MS ? [`${host} takes ${Math.round(took)} ms to be looked up`] : [];
    const names = await reverse(address).catch(() => []);
    const back = names.some((name) => name === host || name.startsWith(`${host}.`));
    return back ? slow : [...slow, `${address} does not lead back to ${host} but to ${names.join(', ') || 'no name'}`];
  } catch {
    return [`${host} cannot be looked up`];
  }
}
