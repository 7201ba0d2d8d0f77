import { resolve } from 'node:path';
import type { ServiceName } from '@understudy/contracts';
import { JsonLogger } from '@understudy/platform';
import { type Layout, NodeRunner } from './node-runner.ts';
import { NotStartable } from './not-startable.ts';
import { prepareNode, type WholeNode } from './preparation.ts';

export type { Layout } from './node-runner.ts';

/**
 * Runs one server in the foreground until SIGTERM or SIGINT, then stops it in the right order. Resolves with the exit code: 0, or 2
 * when it cannot be started (the reasons are on standard error, and nothing was started). `services` leaves services out, for tests.
 */
export async function runNode(options: {
  configFile: string;
  layout: Layout;
  services?: readonly ServiceName[];
}): Promise<number> {
  const told = Promise.withResolvers<void>();
  // Not once: a second Ctrl-C must not cut the orderly stop short.
  process.on('SIGTERM', () => told.resolve());
  process.on('SIGINT', () => told.resolve());
  // PostgreSQL's user must reach its directory below ours; what is secret has its own mode.
  process.umask(0o022);
  let node: WholeNode;
  try {
    node = await prepareNode(resolve(options.configFile), process.env);
  } catch (error) {
    if (!(error instanceof NotStartable)) throw error;
    for (const line of error.lines) process.stderr.write(`${line}\n`);
    return 2;
  }
  process.title = 'understudy-node';
  process.stdout.on('error', () => undefined);
  process.stderr.on('error', () => undefined);
  const logger = new JsonLogger('node');
  const runner = new NodeRunner(node, logger, options);
  // Told to stop while it starts: what is half started is stopped too.
  const started = runner.start().catch((error: unknown) => {
    logger.error('Starting failed', { error });
    told.resolve();
    return error;
  });
  await told.promise;
  await runner.stop();
  const failure = await started;
  // A connection that is still being made must not keep this process.
  setTimeout(() => process.exit(failure === undefined ? 0 : 1), 1000).unref();
  return failure === undefined ? 0 : 1;
}
