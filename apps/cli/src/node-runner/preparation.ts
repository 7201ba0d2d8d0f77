import { randomBytes } from 'node:crypto';
import { chmodSync, existsSync, lstatSync, mkdirSync, readFileSync } from 'node:fs';
import {
  databaseParameterProblems,
  formatProblem,
  loadConfiguration,
  localBindAddress,
  type NodeConfiguration,
  NodePaths,
  readBusCredentials,
  readStoreCredentials,
  SystemClock,
  writeFileAtomically,
} from '@understudy/platform';
import { findPrograms, type Programs, requireForeignFileSets, requirePorts } from './checks.ts';
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
  readonly localAddress: string;
  readonly bus: { readonly user: string; readonly password: string };
  readonly store: { readonly password: string };
}

/** The same for a server whose parts run on this machine, beside the runner. */
export interface WholeNode extends PreparedNode {
  readonly programs: Programs;
}

/** Checks everything that can be checked beforehand, then makes directories, identity and credentials. Throws NotStartable. */
export async function prepareNode(configurationFile: string, environment: NodeJS.ProcessEnv): Promise<WholeNode> {
  const configuration = configurationOf(configurationFile, environment);
  const programs = findPrograms(configuration, environment.PATH ?? '');
  requireDatabaseUser(configuration);
  const text = readFileSync(configurationFile, 'utf8');
  return { ...(await makeServer(configuration, configurationFile, text)), programs };
}

/**
 * The same for a server whose parts run in containers: their programs are in their own images, and what this one's environment
 * variables say is in the configuration that all of them read. Throws NotStartable.
 */
export async function prepareForContainers(file: string, environment: NodeJS.ProcessEnv): Promise<PreparedNode> {
  const configuration = configurationOf(file, environment);
  const { binDirectory, ...database } = configuration.database;
  // where PostgreSQL's programs are is for each image to say
  const effective = { ...configuration, database: binDirectory === null ? database : configuration.database };
  return makeServer(configuration, file, JSON.stringify(effective, null, 2));
}

/** What the part of a server needs that runs in a container of its own: all of it was prepared already. Throws when it was not. */
export function preparedNode(configurationFile: string, environment: NodeJS.ProcessEnv, runId: string): PreparedNode {
  const configuration = configurationOf(configurationFile, environment);
  const paths = new NodePaths(configuration.node.dataDirectory);
  const [bus, store] = [readBusCredentials(paths), readStoreCredentials(paths)];
  return {
    configuration,
    paths,
    runId,
    localAddress: localBindAddress(configuration.node.address),
    bus: { user: bus.user, password: bus.password.reveal() },
    store: { password: store.password.reveal() },
  };
}

function configurationOf(file: string, environment: NodeJS.ProcessEnv): NodeConfiguration {
  const loaded = loadConfiguration(file, environment);
  if (!loaded.ok) throw new NotStartable(loaded.problems.map(formatProblem));
  const refused = databaseParameterProblems(file, loaded.configuration);
  if (refused.length > 0) throw new NotStartable(refused.map(formatProblem));
  return loaded.configuration;
}

/** @param text the configuration as the services read it */
async function makeServer(
  configuration: NodeConfiguration,
  configurationFile: string,
  text: string,
): Promise<PreparedNode> {
  const paths = new NodePaths(configuration.node.dataDirectory);
  const runId = crypto.randomUUID();
  try {
    requireOwnServer(configuration, paths, configurationFile);
    requireForeignFileSets(configuration, configurationFile);
    mkdirSync(paths.run, { recursive: true });
    await endLeftovers(takeRunnerLock(paths, runId), paths, new SystemClock());
    await requirePorts(configuration, configurationFile);
    makeDirectories(paths);
    const credentials = await makeFiles(configuration, text, paths);
    requireOwnLock(paths);
    const localAddress = localBindAddress(configuration.node.address);
    return { configuration, paths, runId, localAddress, ...credentials };
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

async function makeFiles(configuration: NodeConfiguration, configurationText: string, paths: NodePaths) {
  const { node, ports } = configuration;
  await ensureOwnServer(configuration, paths);
  // what is edited meanwhile counts at the next start of the server, not at that of one of its services
  await writeFileAtomically(paths.configuration, configurationText, { mode: 0o600 });
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
