import { access, readFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Candidate, trustedPem } from '@understudy/contracts';
import type { ServiceEnvironment } from '@understudy/platform';
import { type Counterpart, isCandidate, requireServer } from '../ports/counterpart.port.ts';
import type { Probe } from '../ports/probe.port.ts';
import { databaseAnswers, visitDatabase } from './database-answers.ts';
import { peerConnection, psql } from './psql.ts';
import { standIn } from './stand-in.ts';

const ANSWER_MS = 4000;
const LIMIT_MS = 6000;
const AGAIN_MS = 150;
/** The other server begins to measure a moment before or after this one. */
const STAND_IN_MS = 5000;

/**
 * Whether this server has a PostgreSQL that can be asked, or should be. That of a secondary which waits for its registration, left from an
 * earlier pair, is stopped until the primary's takes its place: as good as none.
 */
export async function hasDatabase(
  { configuration: { node, database } }: ServiceEnvironment,
  counterpart: Counterpart,
): Promise<boolean> {
  const holds = (file: string) =>
    access(join(database.dataDirectory, file)).then(
      () => true,
      () => false,
    );
  const waits = isCandidate(counterpart) && node.role === 'secondary';
  return (await holds('PG_VERSION')) && (!waits || (await holds('postmaster.pid')));
}

/** The ports at which each server needs the other, tried as they are needed; and PostgreSQL's own, which stands in where there is none yet. */
export function portProbes(env: ServiceEnvironment): Probe[] {
  const { configuration, paths } = env;
  const { node, ports, fileSets } = configuration;

  /** Listens where nothing listens before registration, for PostgreSQL where that `isNeeded`. Resolves with what keeps PostgreSQL's port from being listened on. */
  async function standInForAll(isNeeded: boolean, signal: AbortSignal): Promise<string | null> {
    const [cert, key] = await Promise.all([paths.certificate, paths.privateKey].map((file) => readFile(file, 'utf8')));
    const stand = (port: number) =>
      standIn({ host: node.address, port, cert: cert ?? '', key: key ?? '' }, STAND_IN_MS, signal);
    const more = [
      ...(node.role === 'primary' ? [ports.pairLink] : []),
      ...(fileSets.length > 0 ? [ports.fileSync] : []),
    ];
    const others = more.map(stand);
    const own = isNeeded ? await stand(ports.database) : null;
    await Promise.all(others);
    return own;
  }

  async function peerDatabase(server: Candidate, counterpart: Counterpart) {
    const { address: host, name } = server;
    const port = server.ports.database;
    if (isCandidate(counterpart)) {
      const visit = await visitDatabase({ host, port, name, certificatePem: trustedPem(server) }, ANSWER_MS);
      return { port: visit.port, login: visit.tls, isTlsOnly: true };
    }
    // the kind of login that a standby uses
    const connection = { ...peerConnection(env, server), replication: 'true' };
    const login = psql(env, connection, 'IDENTIFY_SYSTEM', ANSWER_MS).then(
      ({ isWhole }) => (isWhole ? null : `no answer within ${ANSWER_MS / 1000} s`),
      (error: Error) => error.message,
    );
    return { port: await databaseAnswers(host, port, ANSWER_MS), login: await login };
  }

  return [
    {
      title: 'listener of PostgreSQL',
      fields: ['listener'],
      limitMs: LIMIT_MS,
      measure: async (signal, counterpart) => {
        const where = `${node.address}:${ports.database}`;
        const isThere = await hasDatabase(env, counterpart);
        const stoodIn = isCandidate(counterpart) ? standInForAll(!isThere, signal) : null;
        if (!isThere) {
          if (stoodIn === null) throw new Error('there is no database yet');
          const problem = await stoodIn;
          return { listener: { value: { where, problem, isFree: problem === null } } };
        }
        const problem = await databaseAnswers(node.address, ports.database, ANSWER_MS);
        await stoodIn;
        return { listener: { value: { where, problem } } };
      },
    },
    {
      title: 'ports of the other server',
      fields: ['peerPorts', 'peerDatabasePort', 'peerLogin'],
      limitMs: LIMIT_MS,
      measure: async (_, counterpart) => {
        const server = requireServer(counterpart);
        const { address: host, role } = server;
        const needed: [string, number][] = [
          ['Health Monitor', server.ports.healthMonitor],
          ...(role === 'primary' ? [['pair link', server.ports.pairLink] satisfies [string, number]] : []),
          ...(fileSets.length > 0 ? [['files', server.ports.fileSync] satisfies [string, number]] : []),
        ];
        const again = isCandidate(counterpart);
        const [found, ...others] = await Promise.all([
          peerDatabase(server, counterpart),
          ...needed.map(async ([use, port]) => ({ use, port, problem: await opens(host, port, again) })),
        ]);
        const { port: problem, login, ...kind } = found;
        const port = server.ports.database;
        const where = `${host}:${port}`;
        return {
          peerPorts: { value: [...others, { use: 'database', port, problem }] },
          peerDatabasePort: { value: { where, problem } },
          peerLogin: { value: { where, problem: login, ...kind } },
        };
      },
    },
  ];
}

/** Whether a connection opens; `again`: what listens there may come a moment later. Null: it does. */
async function opens(host: string, port: number, again: boolean): Promise<string | null> {
  for (const endMs = performance.now() + ANSWER_MS; ; await sleep(AGAIN_MS)) {
    const leftMs = endMs - performance.now();
    const problem = await connects(host, port, leftMs);
    if (problem?.code !== 'ECONNREFUSED' || !again || leftMs < 2 * AGAIN_MS) return problem?.reason ?? null;
  }
}

function connects(host: string, port: number, limitMs: number): Promise<{ code: string; reason: string } | null> {
  const where = `${host}:${port}`;
  return new Promise((resolve) => {
    const socket = connect({ host, port });
    const settle = (problem: { code: string; reason: string } | null) => {
      clearTimeout(timer);
      socket.destroy();
      resolve(problem);
    };
    const dropped = `${where} gives no sign: a firewall drops what is sent there, or there is no way`;
    const timer = setTimeout(() => settle({ code: '', reason: dropped }), limitMs);
    socket.once('connect', () => settle(null));
    socket.once('error', ({ code = '', message }: NodeJS.ErrnoException) => {
      const refused = `nothing listens at ${where}, or a firewall rejects it`;
      settle({ code, reason: code === 'ECONNREFUSED' ? refused : `${where}: ${code || message}` });
    });
  });
}
