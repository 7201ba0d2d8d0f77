import { dirname, join, resolve } from 'node:path';
import { JsonLogger } from '@understudy/platform';
import { NotStartable } from './not-startable.ts';
import { type Part, PartRunner } from './part-runner.ts';
import { preparedNode } from './preparation.ts';
import { joinRun } from './run-channel.ts';

/**
 * Runs one part of a server in the foreground, in a container of its own: waits for the run of the server and belongs to it until
 * SIGTERM or SIGINT, or until the run is over. Resolves with the exit code: 0; 1 when the run is over, so that this is started again
 * for the next one; 2 when it cannot be started (the reasons are on standard error). `configFile` is what the run has made.
 */
export async function runPart({ configFile, part }: { configFile: string; part: Part }): Promise<number> {
  const told = new AbortController();
  process.on('SIGTERM', () => told.abort());
  process.on('SIGINT', () => told.abort());
  process.umask(0o022);
  process.title = `understudy-part-${part}`;
  const logger = new JsonLogger(`part ${part}`);
  const file = resolve(configFile);
  const socket = join(dirname(file), 'run.sock');
  const run = await joinRun(socket, told.signal, () => logger.info('Waiting for the run of this server', { socket }));
  if (run === null) return 0;
  let runner: PartRunner;
  try {
    runner = new PartRunner(part, preparedNode(file, process.env, run.runId), logger);
  } catch (error) {
    run.leave();
    if (!(error instanceof NotStartable)) throw error;
    for (const line of error.lines) process.stderr.write(`${line}\n`);
    return 2;
  }
  const ended = run.ended.then(() => 'over' as const);
  const asked = new Promise<'told'>((tell) => {
    if (told.signal.aborted) tell('told');
    told.signal.addEventListener('abort', () => tell('told'));
  });
  await runner.start();
  const why = await Promise.race([ended, asked]);
  logger.info(why === 'over' ? 'The run of this server is over: stopping' : 'Stopping');
  await runner.stop({ isLost: why === 'over' });
  run.leave();
  const code = why === 'over' ? 1 : 0;
  // A connection that is still being made must not keep this process.
  setTimeout(() => process.exit(code), 1000).unref();
  return code;
}
