import { randomBytes } from 'node:crypto';
import { chmodSync, existsSync, mkdirSync, readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import {
  bootId,
  ensureOwnIdentity,
  findProgram,
  formatProblem,
  isAlive,
  isLoopback,
  loadConfiguration,
  localBindAddress,
  type NodeConfiguration,
  NodePaths,
  processStartTime,
  writeFileAtomically,
} from '@understudy/platform';

/** A server cannot be started: each line says what, where and how to mend it. Exit code 2. */
export class NotStartable extends Error {
  constructor(readonly lines: readonly string[]) {
    super(lines.join('\n'));
  }
}

/** What `node run` has found and made before it starts anything. */
export interface PreparedNode {
  readonly configurationFile: string;
  readonly configuration: NodeConfiguration;
  readonly paths: NodePaths;
  readonly runId: string;
  readonly programs: { readonly nats: string; readonly redis: string };
  readonly localAddress: string;
  readonly bus: { readonly user: string; readonly password: string };
  readonly store: { readonly password: string };
}

/** What the running node says of itself in `run/node.json`. */
export interface RunnerLock {
  readonly pid: number;
  readonly startTime: number;
  readonly bootId: string;
  readonly runId: string;
  readonly children: readonly { readonly name: string; readonly pid: number; readonly startTime: number }[];
}

/** Checks everything that can be checked beforehand, then makes directories, identity and credentials. Throws NotStartable. */
export async function prepareNode(configurationFile: string, environment: NodeJS.ProcessEnv): Promise<PreparedNode> {
  const loaded = loadConfiguration(configurationFile, environment);
  if (!loaded.ok) throw new NotStartable(loaded.problems.map(formatProblem));
  const { configuration } = loaded;
  const paths = new NodePaths(configuration.node.dataDirectory);
  const programs = findPrograms(configuration, environment.PATH ?? '');
  requireOwnDirectory(configuration, paths);
  killLeftovers(requireNotRunning(paths));
  await requirePorts(configuration, configurationFile);
  for (const directory of [
    paths.dataDirectory,
    paths.logs,
    paths.nats,
    paths.redis,
    paths.postgresqlConfig,
    paths.setAside,
    paths.run,
  ])
    mkdirSync(directory, { recursive: true });
  for (const directory of [paths.identity, paths.nats, paths.redis]) {
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    chmodSync(directory, 0o700);
  }
  const { name, role, address } = configuration.node;
  if (!existsSync(paths.nodeFile)) await writeFileAtomically(paths.nodeFile, `${JSON.stringify({ name, role })}\n`);
  await ensureOwnIdentity(paths, { name, address });
  const localAddress = localBindAddress(address);
  const bus = { user: 'understudy', password: passwordIn(paths.busCredentials) };
  const store = { password: passwordIn(paths.storeCredentials) };
  const { ports } = configuration;
  await writeFileAtomically(
    paths.busCredentials,
    JSON.stringify({ url: `nats://${localAddress}:${ports.bus}`, ...bus }),
    { mode: 0o600 },
  );
  await writeFileAtomically(
    paths.storeCredentials,
    JSON.stringify({ host: localAddress, port: ports.store, ...store }),
    { mode: 0o600 },
  );
  if (!existsSync(paths.cliToken))
    await writeFileAtomically(paths.cliToken, randomBytes(32).toString('hex'), { mode: 0o600 });
  return { configurationFile, configuration, paths, runId: crypto.randomUUID(), programs, localAddress, bus, store };
}

/** The lock of a running node, null when none runs on this data directory. */
export function readRunnerLock(paths: NodePaths): RunnerLock | null {
  const lock = readLock(paths);
  return lock !== null && lock.bootId === bootId() && isAlive(lock.pid, lock.startTime) ? lock : null;
}

/** Says that this process runs the node, and which children it has. */
export async function writeRunnerLock(
  paths: NodePaths,
  runId: string,
  children: readonly { name: string; pid: number | null }[],
): Promise<void> {
  const known = children.flatMap(({ name, pid }) => {
    const startTime = pid === null ? null : processStartTime(pid);
    return pid === null || startTime === null ? [] : [{ name, pid, startTime }];
  });
  const lock: RunnerLock = {
    pid: process.pid,
    startTime: processStartTime(process.pid) ?? 0,
    bootId: bootId(),
    runId,
    children: known,
  };
  await writeFileAtomically(paths.runnerLock, JSON.stringify(lock), { mode: 0o600 });
}

function readLock(paths: NodePaths): RunnerLock | null {
  try {
    return JSON.parse(readFileSync(paths.runnerLock, 'utf8')) as RunnerLock;
  } catch {
    return null;
  }
}

function requireNotRunning(paths: NodePaths): RunnerLock | null {
  const running = readRunnerLock(paths);
  if (running !== null)
    throw new NotStartable([
      `${paths.dataDirectory}: this server runs already (pid ${running.pid}); stop it with "understudy node stop"`,
    ]);
  return readLock(paths);
}

/** Bus, store and services of a runner that was killed. PostgreSQL is not among them: db-replication finds it again. */
function killLeftovers(lock: RunnerLock | null): void {
  if (lock === null || lock.bootId !== bootId()) return;
  for (const { pid, startTime } of lock.children) {
    if (!isAlive(pid, startTime)) continue;
    process.kill(pid, 'SIGKILL');
    for (const until = Date.now() + 5000; isAlive(pid, startTime) && Date.now() < until; )
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 10);
  }
}

function findPrograms({ database }: NodeConfiguration, searchPath: string) {
  const nats = findProgram('nats-server', searchPath);
  const redis = findProgram('redis-server', searchPath);
  const missing = [
    nats === null ? 'nats-server' : null,
    redis === null ? 'redis-server' : null,
    database.binDirectory === null ? 'postgresql' : null,
  ].filter((name) => name !== null);
  if (nats === null || redis === null || missing.length > 0) {
    throw new NotStartable([
      `missing on this machine: ${missing.join(', ')}; install with "apt-get install ${missing.join(' ')}"`,
    ]);
  }
  return { nats, redis };
}

function requireOwnDirectory({ node }: NodeConfiguration, paths: NodePaths): void {
  if (!existsSync(paths.nodeFile)) return;
  const owner = JSON.parse(readFileSync(paths.nodeFile, 'utf8')) as { name: string; role: string };
  if (owner.name === node.name && owner.role === node.role) return;
  throw new NotStartable([
    `node.dataDirectory: ${paths.dataDirectory} belongs to ${owner.role} "${owner.name}", this configuration is for ${node.role} "${node.name}"; give each server a directory of its own`,
  ]);
}

async function requirePorts({ node, ports, database }: NodeConfiguration, file: string): Promise<void> {
  const local = localBindAddress(node.address);
  const listeners: [string, string, number][] = [
    ['ports.healthMonitor', node.address, ports.healthMonitor],
    ['ports.pairLink', node.address, ports.pairLink],
    ['ports.bus', local, ports.bus],
    ['ports.store', local, ports.store],
  ];
  // a PostgreSQL of ours may have outlived its manager: it is adopted, not a stranger
  if (!existsSync(join(database.dataDirectory, 'postmaster.pid'))) {
    listeners.push(['ports.database', node.address, ports.database]);
    if (!isLoopback(node.address)) listeners.push(['ports.database', '127.0.0.1', ports.database]);
  }
  const problems = await Promise.all(
    listeners.map(async ([key, address, port]) => problemOf(key, address, port, file)),
  );
  const lines = problems.filter((line) => line !== null);
  if (lines.length > 0) throw new NotStartable(lines);
}

function problemOf(key: string, address: string, port: number, file: string): Promise<string | null> {
  return new Promise((resolve) => {
    const probe = createServer();
    probe.once('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EADDRINUSE')
        resolve(
          `${file}: ${key}: port ${port} on ${address} is taken by another program ("ss -ltnp sport = :${port}" names it); choose another port or stop that program`,
        );
      else if (error.code === 'EADDRNOTAVAIL')
        resolve(
          `${file}: node.address: this machine has no address ${address}; set the address by which the peer reaches this server`,
        );
      else resolve(`${file}: ${key}: cannot listen on ${address}:${port} (${error.code ?? error.message})`);
    });
    probe.listen({ host: address, port, exclusive: true }, () => probe.close(() => resolve(null)));
  });
}

function passwordIn(file: string): string {
  try {
    return (JSON.parse(readFileSync(file, 'utf8')) as { password: string }).password;
  } catch {
    return randomBytes(24).toString('hex');
  }
}
