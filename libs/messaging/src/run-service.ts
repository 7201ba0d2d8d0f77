import { ConfigurationError, type Logger, loadServiceEnvironment, type ServiceEnvironment } from '@understudy/platform';
import { startTelemetry } from '@understudy/telemetry';
import { markStarted } from './connect-bus.ts';

/**
 * Why a service is closed. `server-shutdown`: the whole server goes down, so stop what you own (PostgreSQL, application processes).
 * `runner-lost`: the same, but bus and store are gone already.
 * `service-restart`: only this service is replaced, so leave running what the next one adopts.
 */
export type CloseReason = 'server-shutdown' | 'runner-lost' | 'service-restart';

/** A service that has started. */
export interface RunningService {
  /** Ends it in an orderly way. Called at most once. */
  close(options: { reason: CloseReason }): Promise<void>;
}

/** Starts a service; every app exports one. Resolves when it does its work. */
export type StartService = (environment: ServiceEnvironment) => Promise<RunningService>;

/**
 * What the runner tells the services it started. `shutdown`: the whole server goes down (SIGTERM alone means that only this service
 * is replaced). `ping`: answer with `pong`.
 */
export interface RunnerMessage {
  readonly type: 'shutdown' | 'ping';
}

/** What a service tells the runner. `ready`: its start has finished. `pong`: its main thread is not stuck. */
export interface ServiceMessage {
  readonly type: 'ready' | 'pong';
}

/** Longest orderly close of one service. PostgreSQL's own stop may take 85 s. */
const CLOSE_DEADLINE_MS: Record<CloseReason, number> = {
  'server-shutdown': 100_000,
  'runner-lost': 100_000,
  'service-restart': 8000,
};

/** Starts a service in an environment; from then on its health query says ready. */
export async function startService(environment: ServiceEnvironment, start: StartService): Promise<RunningService> {
  const running = await start(environment);
  markStarted(environment.service);
  environment.logger.info('Started', { version: environment.version });
  return running;
}

/**
 * A service process from its environment variables to its end: the only thing that a `main.ts` calls.
 * SIGTERM and SIGINT close the service alone; the runner's message `{ type: 'shutdown' }` closes it because the server goes down; the
 * runner's end (closed channel) closes it likewise, since nobody would watch what it owns. An unexpected error ends it with 1, a wrong
 * configuration with 2.
 */
export function runService(name: string, start: StartService): void {
  runProcess(name, async (environment) => startService(environment, start));
}

/** The same for a process that hosts several services: `boot` starts them all. */
export function runProcess(name: string, boot: (environment: ServiceEnvironment) => Promise<RunningService>): void {
  process.title = `understudy-${name}`;
  // The runner may be gone while we still say goodbye.
  process.stdout.on('error', () => undefined);
  process.stderr.on('error', () => undefined);
  const environment = environmentOrExit(name);
  const { logger } = environment;
  process.on('uncaughtException', (error) => exitAfterFault(logger, error));
  process.on('unhandledRejection', (error) => exitAfterFault(logger, error));

  const telemetry = startTelemetry(environment);
  const started = telemetry.then(() => boot(environment));
  let closing = false;
  const close = (reason: CloseReason) => {
    if (closing) return;
    closing = true;
    setTimeout(() => {
      logger.error('Closing took too long', { reason, limitMs: CLOSE_DEADLINE_MS[reason] });
      process.exit(1);
    }, CLOSE_DEADLINE_MS[reason]);
    started
      .then((running) => running.close({ reason }))
      .then(async () => (await telemetry).close())
      .then(
        () => process.exit(0),
        (error: unknown) => exitAfterFault(logger, error),
      );
  };
  process.on('SIGTERM', () => close('service-restart'));
  process.on('SIGINT', () => close('service-restart'));
  process.on('message', (message: RunnerMessage) => {
    if (message?.type === 'shutdown') close('server-shutdown');
    if (message?.type === 'ping') tellRunner({ type: 'pong' });
  });
  // The runner is gone, and with it bus and store: what this service owns would go on without anybody who decides about it.
  process.on('disconnect', () => close('runner-lost'));
  started.then(
    () => tellRunner({ type: 'ready' }),
    (error: unknown) => exitAfterFault(logger, error),
  );
}

function tellRunner(message: ServiceMessage): void {
  if (process.connected) process.send?.(message, undefined, undefined, () => undefined);
}

function environmentOrExit(name: string): ServiceEnvironment {
  try {
    return loadServiceEnvironment(name);
  } catch (error) {
    if (!(error instanceof ConfigurationError)) throw error;
    for (const problem of error.problems) process.stderr.write(`${problem}\n`);
    process.exit(2);
  }
}

function exitAfterFault(logger: Logger, error: unknown): void {
  logger.error('An unexpected error ends this process', { error });
  // Let the line out first; a closed pipe must not hold us.
  setTimeout(() => process.exit(1), 100);
}
