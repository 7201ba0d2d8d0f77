import { lookup, lookupService, reverse } from 'node:dns/promises';
import { connect, isIP } from 'node:net';
import { networkInterfaces } from 'node:os';
import { isLoopback, type ServiceEnvironment } from '@understudy/platform';
import { type KnownCounterpart, requirePeer, requireServer } from '../ports/counterpart.port.ts';
import type { Probe } from '../ports/probe.port.ts';
import { askCandidate, NoAnswer } from './candidate-channel.ts';
import { ping } from './ping.ts';
import { peerConnection, psql } from './psql.ts';

const CONNECTIONS = 5;
const CONNECT_MS = 800;
const SLOW_LOOKUP_MS = 1000;
/** What is asked of the peer: rows of 1 MiB, and how long they are taken. */
const TRANSFER_MIB = 64;
const TRANSFER_MS = 3500;
const LOGIN_MS = 3000;
const SAMPLE_BEGINS_MS = 500;
const TRANSFER = `copy (select repeat('x', 1048575) from generate_series(1, ${TRANSFER_MIB})) to stdout`;

/** The way to the peer, really gone. */
export function pathProbes(env: ServiceEnvironment): Probe[] {
  const { configuration } = env;
  return [
    {
      title: 'ping',
      fields: ['ping'],
      limitMs: 6000,
      measure: async (signal, counterpart) => ({
        ping: { value: await ping(requireServer(counterpart).address, signal) },
      }),
    },
    {
      title: 'latency',
      fields: ['latency'],
      limitMs: CONNECTIONS * CONNECT_MS + 500,
      isAlone: true,
      measure: async (_, counterpart) => {
        const { address, ports } = requireServer(counterpart);
        return { latency: { value: await latency(address, ports.healthMonitor) } };
      },
    },
    {
      title: 'names',
      fields: ['names'],
      limitMs: 6000,
      measure: async (_, counterpart) => {
        const own = configuration.node.address;
        const hosts = 'missing' in counterpart ? [own] : [own, counterpart.server.address];
        const problems = [...(await problemsOfOwn(own)), ...(await Promise.all(hosts.map(problemsOfName))).flat()];
        return { names: { value: { shown: hosts.join(', '), problems } } };
      },
    },
    {
      title: 'throughput',
      fields: ['throughput'],
      limitMs: LOGIN_MS + TRANSFER_MS + 500,
      isAlone: true,
      measure: async (_, counterpart) => {
        if ('ticket' in counterpart && counterpart.ticket !== null)
          return { throughput: { value: await throughputFrom(counterpart) } };
        const connection = peerConnection(env, requirePeer(counterpart));
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

/** Before registration there is no login at the other PostgreSQL: its gateway sends the rows' worth instead. */
async function throughputFrom(candidate: KnownCounterpart): Promise<{ megabitsPerSecond: number; bytes: number }> {
  try {
    const { bytes, milliseconds } = await askCandidate(candidate, 'sample', TRANSFER_MS + SAMPLE_BEGINS_MS);
    return { megabitsPerSecond: (bytes * 8) / 1000 / Math.max(1, milliseconds), bytes };
  } catch (error) {
    // it has answered small questions just now: what hangs here hangs by the size of its packets
    if (error instanceof NoAnswer) return { megabitsPerSecond: 0, bytes: 0 };
    throw error;
  }
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
    const names = await namesOf(address);
    const back = names.some((name) => name === host || name.startsWith(`${host}.`) || host.startsWith(`${name}.`));
    return back ? slow : [...slow, `${address} does not lead back to ${host} but to ${names.join(', ') || 'no name'}`];
  } catch {
    return [`${host} cannot be looked up`];
  }
}

/** As the system says it, which knows /etc/hosts too, and as DNS does, which may know more than one. */
async function namesOf(address: string): Promise<string[]> {
  const [system, dns] = await Promise.all([
    lookupService(address, 0).then(
      ({ hostname }) => [hostname],
      () => [],
    ),
    reverse(address).catch(() => []),
  ]);
  return [...new Set([...system, ...dns])].filter((name) => name !== address);
}
