import { randomBytes } from 'node:crypto';
import { chmodSync, existsSync, lstatSync, mkdirSync, readFileSync } from 'node:fs';
import {
  databaseParameterProblems,
  formatProblem,
  loadConfiguration,
  localBindAddress,
  type NodeConfiguration,
  NodePaths,
  SystemClock,
  writeFileAtomically,
} from '@understudy/platform';
import { findPrograms, type Programs, requirePorts } from './checks.ts';
import { requireDatabaseUser } from './database-user.ts';
import { endLeftovers } from './leftovers.ts';
import { NotStartable } from './not-startable.ts';
import { ensureOwnServer, requireOwnServer } from './own-server.ts';
import { releaseRunnerLock, requireOwnLock, takeRunnerLock } from './runner-lock.ts';

/** What `node run` has found and made before it starts anything. */
export interface PreparedNode {
  readonly configuration: NodeConfiguration;
  readonly paths: NodePaths;
  readonly runId: string;
  readonly programs: Programs;
  readonly localAddress: string;
  readonly bus: { readonly user: string; readonly password: string };
  readonly store: { readonly password: string };
}

/** Checks everything that can be checked beforehand, then makes directories, identity and credentials. Throws NotStartable. */
export async function prepareNode(configurationFile: string, environment: NodeJS.ProcessEnv): Promise<PreparedNode> {
  const loaded = loadConfiguration(configurationFile, environment);
  if (!loaded.ok) throw new NotStartable(loaded.problems.map(formatProblem));
  const { configuration } = loaded;
  const refused = databaseParameterProblems(configurationFile, configuration);
  if (refused.length > 0) throw new NotStartable(refused.map(formatProblem));
  const paths = new NodePaths(configuration.node.dataDirectory);
  const programs = findPrograms(configuration, environment.PATH ?? '');
  const runId = crypto.randomUUID();
  try {
    requireOwnServer(configuration, paths, configurationFile);
    requireDatabaseUser(configuration);
    mkdirSync(paths.run, { recursive: true });
    await endLeftovers(takeRunnerLock(paths, runId), paths, new SystemClock());
    await requirePorts(configuration, configurationFile);
    makeDirectories(paths);
    const credentials = await makeFiles(configuration, configurationFile, paths);
    requireOwnLock(paths);
    const localAddress = localBindAddress(configuration.node.address);
    return { configuration, paths, runId, programs, localAddress, ...credentials };
  } catch (error) {
    releaseRunnerLock(paths);
    throw startable(error, paths);
  }
}

function makeDirectories(paths: NodePaths): void {
  for (const directory of [paths.logs, paths.nats, paths.redis, paths.postgresqlConfig, paths.setAside]) {
    mkdirSync(directory, { recursive: true });
  }
  for (const directory of [paths.identity, paths.nats, paths.redis]) {
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    chmodSync(directory, 0o700);
  }
  if (paths.sockets === paths.run) return;
  mkdirSync(paths.sockets, { recursive: true });
  const { uid, mode } = lstatSync(paths.sockets);
  // It lies in a directory where everybody may write.
  if (uid === process.getuid?.() && (mode & 0o022) === 0) return;
  throw new NotStartable([`${paths.sockets} was made by somebody else; remove it`]);
}

async function makeFiles(configuration: NodeConfiguration, configurationFile: string, paths: NodePaths) {
  const { node, ports } = configuration;
  await ensureOwnServer(configuration, paths);
  // what is edited meanwhile counts at the next start of the server, not at that of one of its services
  await writeFileAtomically(paths.configuration, readFileSync(configurationFile), { mode: 0o600 });
  const host = localBindAddress(node.address);
  const bus = { user: 'understudy', password: passwordIn(paths.busCredentials) };
  const store = { password: passwordIn(paths.storeCredentials) };
  const secret = { mode: 0o600 };
  await writeFileAtomically(
    paths.busCredentials,
    JSON.stringify({ url: `nats://${host}:${ports.bus}`, ...bus }),
    secret,
  );
  await writeFileAtomically(paths.storeCredentials, JSON.stringify({ host, port: ports.store, ...store }), secret);
  if (!existsSync(paths.cliToken)) await writeFileAtomically(paths.cliToken, randomBytes(32).toString('hex'), secret);
  return { bus, store };
}

function passwordIn(file: string): string {
  try {
    return (JSON.parse(readFileSync(file, 'utf8')) as { password: string }).password;
  } catch {
    return randomBytes(24).toString('hex');
  }
}

/** What the file system refuses is the operator's to mend: one line, no stack. */
function startable(error: unknown, paths: NodePaths): unknown {
  const { code, path } = error as NodeJS.ErrnoException;
  if (error instanceof NotStartable || !code || !/^E[A-Z]+$/.test(code)) return error;
  const reasons: Record<string, string> = {
    EACCES: 'this user may not write there',
    EPERM: 'this user may not change it',
    ENOSPC: 'the disk is full',
    EROFS: 'the file system is read-only',
    ENOTDIR: 'a part of the path is a file',
  };
  return new NotStartable([
    `node.dataDirectory: ${path ?? paths.dataDirectory}: ${reasons[code] ?? code}; make it writable or set another directory`,
  ]);
}
