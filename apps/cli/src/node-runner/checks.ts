import { existsSync } from 'node:fs';
import { createServer } from 'node:net';
import { findProgram, isLoopback, localBindAddress, type NodeConfiguration } from '@understudy/platform';
import { applicationObjections, fileSetObjections } from './application-objections.ts';
import { requireDatabaseUser } from './database-user.ts';
import { NotStartable } from './not-startable.ts';
import { ownFilesInFileSets } from './own-files.ts';
import { ownPostmaster } from './own-postmaster.ts';
import { portOwner } from './port-owner.ts';

/** The programs that the runner starts. */
export interface Programs {
  readonly nats: string;
  readonly redis: string;
  /** util-linux's setpriv, so that bus and store end with the runner; null when the machine has none. */
  readonly setpriv: string | null;
}

/** Finds the programs a server needs. Throws NotStartable with the packages that bring the missing ones. */
export function findPrograms({ database }: NodeConfiguration, searchPath: string): Programs {
  const nats = findProgram('nats-server', searchPath);
  const redis = findProgram('redis-server', searchPath);
  const missing = [
    ...(nats === null ? ['nats-server'] : []),
    ...(redis === null ? ['redis-server'] : []),
    ...(database.binDirectory === null ? ['postgresql'] : []),
  ];
  if (nats === null || redis === null || missing.length > 0) {
    throw new NotStartable([
      `missing on this machine: ${missing.join(', ')}; install with "apt-get install ${missing.join(' ')}"`,
    ]);
  }
  if (database.binDirectory !== null && !existsSync(`${database.binDirectory}/postgres`)) {
    throw new NotStartable([
      `database.binDirectory: there is no PostgreSQL in ${database.binDirectory}; leave it out to have it found, or "apt-get install postgresql"`,
    ]);
  }
  return { nats, redis, setpriv: findProgram('setpriv', searchPath) };
}

/** What keeps a sound configuration from running on this machine as it is: programs, users and files that are not there. */
export function objectionsOfMachine(configuration: NodeConfiguration, searchPath: string): string[] {
  const { node, witness } = configuration;
  const files = {
    'node.authenticationKeyFile': node.authenticationKeyFile,
    'witness.credentialsFile': witness?.kind === 'nats' ? witness.credentialsFile : undefined,
  };
  return [
    ...linesOf(() => findPrograms(configuration, searchPath)),
    ...linesOf(() => requireDatabaseUser(configuration)),
    ...applicationObjections(configuration, searchPath),
    ...fileSetObjections(configuration),
    ...ownFilesInFileSets(configuration),
    ...Object.entries(files).flatMap(([key, file]) =>
      file === undefined || existsSync(file) ? [] : [`${key}: there is no file ${file}`],
    ),
  ];
}

function linesOf(check: () => unknown): readonly string[] {
  try {
    check();
    return [];
  } catch (error) {
    if (error instanceof NotStartable) return error.lines;
    throw error;
  }
}

/** Refuses file sets that hold this server's own files. */
export function requireForeignFileSets(configuration: NodeConfiguration, file: string): void {
  const lines = ownFilesInFileSets(configuration).map((line) => `${file}: ${line}`);
  if (lines.length > 0) throw new NotStartable(lines);
}

/** Refuses ports that others listen on, all at once, each with its owner. */
export async function requirePorts({ node, ports, database }: NodeConfiguration, file: string): Promise<void> {
  const local = localBindAddress(node.address);
  const listeners: [string, string, number][] = [
    ['ports.healthMonitor', node.address, ports.healthMonitor],
    ['ports.fileSync', node.address, ports.fileSync],
    ['ports.pairLink', node.address, ports.pairLink],
    ['ports.bus', local, ports.bus],
    ['ports.store', local, ports.store],
  ];
  // A PostgreSQL of ours may have outlived its manager: it is adopted, not a stranger.
  if (ownPostmaster(database.dataDirectory) === null) {
    listeners.push(['ports.database', node.address, ports.database]);
    if (!isLoopback(node.address)) listeners.push(['ports.database', '127.0.0.1', ports.database]);
  }
  const found = await Promise.all(listeners.map(([key, address, port]) => problemOf(key, address, port, file)));
  const lines = [...new Set(found.filter((line) => line !== null))];
  if (lines.length > 0) throw new NotStartable(lines);
}

function problemOf(key: string, address: string, port: number, file: string): Promise<string | null> {
  return new Promise((resolve) => {
    const probe = createServer();
    probe.once('error', ({ code, message }: NodeJS.ErrnoException) => {
      if (code === 'EADDRINUSE') resolve(taken(key, address, port, file));
      else if (code === 'EADDRNOTAVAIL' || code === 'ENOTFOUND' || code === 'EAI_AGAIN')
        resolve(noSuchAddress(address, file));
      else if (code === 'EACCES')
        resolve(`${file}: ${key}: this user may not listen on port ${port}; choose one above 1023`);
      else resolve(`${file}: ${key}: cannot listen on ${address}:${port} (${code ?? message}); choose another`);
    });
    probe.listen({ host: address, port, exclusive: true }, () => probe.close(() => resolve(null)));
  });
}

function taken(key: string, address: string, port: number, file: string): string {
  const owner = portOwner(port);
  const by = owner === null ? 'another program' : `${owner.name} (pid ${owner.pid})`;
  const hint =
    owner?.name === 'postgres'
      ? '; the one that the distribution starts is stopped by "systemctl disable --now postgresql"'
      : '';
  return `${file}: ${key}: port ${port} on ${address} is taken by ${by}; choose another port or stop that program${hint}`;
}

function noSuchAddress(address: string, file: string): string {
  return `${file}: node.address: this machine has no address ${address}; set the address by which the peer reaches this server`;
}
