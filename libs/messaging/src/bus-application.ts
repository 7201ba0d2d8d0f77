import type { INestApplicationContext, Type } from '@nestjs/common';
import type { Logger } from '@understudy/platform';
import type { Bus } from './bus.ts';
import type { MessageDefinition } from './bus-server.ts';

/**
 * A Nest application whose controllers answer messages of the bus (see `BusServer`). What a controller throws reaches who asked as
 * it is when it is a `BusError`. Nest is loaded only here: a service that needs no controllers does without it.
 */
export async function createBusApplication(
  module: Type | { module: Type },
  options: { bus: Bus; definitions: readonly MessageDefinition[]; logger: Logger },
): Promise<INestApplicationContext> {
  await import('reflect-metadata');
  const [{ NestFactory }, { BusServer }, { BusErrorFilter }] = await Promise.all([
    import('@nestjs/core'),
    import('./bus-server.ts'),
    import('./bus-error.filter.ts'),
  ]);
  const application = await NestFactory.createMicroservice(module as Type, {
    strategy: new BusServer(options.bus, options.definitions),
    logger: nestLogger(options.logger),
    abortOnError: false,
  });
  application.useGlobalFilters(new BusErrorFilter());
  await application.listen();
  return application;
}

/** Nest's lines in our form; its start-up chatter only at level debug. */
export function nestLogger(logger: Logger) {
  const context = (rest: unknown[]) => ({ context: rest.map(String).join(' ') });
  return {
    log: (message: unknown, ...rest: unknown[]) => logger.debug(String(message), context(rest)),
    debug: (message: unknown, ...rest: unknown[]) => logger.debug(String(message), context(rest)),
    verbose: (message: unknown, ...rest: unknown[]) => logger.debug(String(message), context(rest)),
    warn: (message: unknown, ...rest: unknown[]) => logger.warn(String(message), context(rest)),
    error: (message: unknown, ...rest: unknown[]) => logger.error(String(message), context(rest)),
    fatal: (message: unknown, ...rest: unknown[]) => logger.error(String(message), context(rest)),
  };
}
