import { resolve } from 'node:path';
import { JsonLogger } from '@understudy/platform';
import { NotStartable } from './not-startable.ts';
import { reportHealth } from './part-health.ts';
import { type PreparedNode, prepareForContainers } from './preparation.ts';
import { RunChannel } from './run-channel.ts';
import { releaseRunnerLock } from './runner-lock.ts';

const ALIVE_MS = 2000;

/**
 * Holds the run of a server whose parts run in containers of their own: makes what they share (directories, identity, credentials,
 * the configuration they read) and tells each its run, until SIGTERM or SIGINT. When this process ends, the run is over, and the parts
 * close what they own. Resolves with the exit code: 0, or 2 when the server cannot be started (the reasons are on standard error).
 * Decision: docs/decisions/0017-containers.md.
 */
export async function runContainers({ configFile }: { configFile: string }): Promise<number> {
  const told = Promise.withResolvers<void>();
  process.on('SIGTERM', () => told.resolve());
  process.on('SIGINT', () => told.resolve());
  process.umask(0o022);
  process.title = 'understudy-site';
  const logger = new JsonLogger('node');
  let node: PreparedNode;
  try {
    node = await prepareForContainers(resolve(configFile), process.env);
  } catch (error) {
    if (!(error instanceof NotStartable)) throw error;
    for (const line of error.lines) process.stderr.write(`${line}\n`);
    return 2;
  }
  const { paths, runId, configuration } = node;
  const channel = await RunChannel.open(paths.runSocket, runId);
  const endHealth = reportHealth(async () => true, ALIVE_MS);
  logger.info('This server may run', { name: configuration.node.name, role: configuration.node.role, runId });
  await told.promise;
  endHealth();
  channel.close();
  releaseRunnerLock(paths);
  logger.info('The run of this server is over');
  return 0;
}
