import { type Clock, SystemClock } from './clock.ts';
import type { NodeConfiguration } from './configuration/configuration.schema.ts';
import { formatProblem, type LoadedConfiguration, loadConfiguration } from './configuration/load-configuration.ts';
import { JsonLogger, type Logger, type LogLevel } from './logger.ts';
import { NodePaths } from './node-paths.ts';
import { VERSION } from './version.ts';

/** What every service is started with. */
export interface ServiceEnvironment {
  readonly service: string;
  readonly configurationFile: string;
  readonly configuration: NodeConfiguration;
  readonly paths: NodePaths;
  /** Identity of this run of the server: equal = only the service was restarted, different = the server was booted. */
  readonly runId: string;
  readonly clock: Clock;
  readonly logger: Logger;
  /** The product's version. */
  readonly version: string;
}

/** The configuration is not usable; `problems` has one line for each reason. */
export class ConfigurationError extends Error {
  constructor(readonly problems: readonly string[]) {
    super(problems.join('\n'));
    this.name = 'ConfigurationError';
  }
}

/**
 * A service's environment from UNDERSTUDY_CONFIG_FILE and UNDERSTUDY_RUN_ID, which `node run` sets. UNDERSTUDY_LOG_LEVEL=debug
 * shows more. Throws `ConfigurationError`.
 */
export function loadServiceEnvironment(
  service: string,
  environment: NodeJS.ProcessEnv = process.env,
): ServiceEnvironment {
  const file = environment.UNDERSTUDY_CONFIG_FILE;
  const runId = environment.UNDERSTUDY_RUN_ID;
  if (!file || !runId) {
    throw new ConfigurationError([
      'UNDERSTUDY_CONFIG_FILE and UNDERSTUDY_RUN_ID are not set. Start services with "understudy node run".',
    ]);
  }
  const loaded: LoadedConfiguration = loadConfiguration(file, environment);
  if (!loaded.ok) throw new ConfigurationError(loaded.problems.map(formatProblem));
  return makeServiceEnvironment(service, {
    file,
    runId,
    configuration: loaded.configuration,
    level: environment.UNDERSTUDY_LOG_LEVEL,
  });
}

/** The environment of one service from what is already loaded; for several services in one process, and for tests. */
export function makeServiceEnvironment(
  service: string,
  options: {
    file: string;
    runId: string;
    configuration: NodeConfiguration;
    level?: string | undefined;
    logger?: Logger;
  },
): ServiceEnvironment {
  const level = (['debug', 'info', 'warn', 'error'] as LogLevel[]).find((name) => name === options.level) ?? 'info';
  return {
    service,
    configurationFile: options.file,
    configuration: options.configuration,
    paths: new NodePaths(options.configuration.node.dataDirectory),
    runId: options.runId,
    clock: new SystemClock(),
    logger: options.logger ?? new JsonLogger(service, { level }),
    version: VERSION,
  };
}
