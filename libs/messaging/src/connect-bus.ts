import { healthQueryOf, SERVICE_NAMES, type ServiceName } from '@understudy/contracts';
import { readBusCredentials, type ServiceEnvironment } from '@understudy/platform';
import { Bus } from './bus.ts';

/** The connections of the services in this process, by service. */
const connections = new Map<string, Bus>();

/**
 * Connects a service to its server's bus and answers its health query from then on: `starting` until `startService` sees the
 * service's start finished, afterwards what `bus.health` says.
 */
export async function connectBus(environment: ServiceEnvironment): Promise<Bus> {
  const { service, configuration, paths, logger, version, clock } = environment;
  const startedAt = new Date(clock.unixMs()).toISOString();
  const credentials = readBusCredentials(paths);
  const bus = await Bus.connect({ credentials, name: service, role: configuration.node.role, logger });
  if (isServiceName(service)) {
    bus.handle(healthQueryOf(service), () => ({
      service,
      version,
      state: bus.health.state,
      reason: bus.health.reason,
      startedAt,
      pid: process.pid,
    }));
    connections.set(service, bus);
  }
  return bus;
}

/** Called when a service's start has finished: it is ready unless it has said otherwise. */
export function markStarted(service: string): void {
  const health = connections.get(service)?.health;
  if (health?.state === 'starting') health.ready();
}

function isServiceName(name: string): name is ServiceName {
  return (SERVICE_NAMES as readonly string[]).includes(name);
}
