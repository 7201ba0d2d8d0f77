import {
  ConfigurationQuery,
  EventsQuery,
  OperationsQuery,
  OwnStatusQuery,
  StatusQuery,
  VerifyAuthenticationKey,
} from '@understudy/contracts';
import type { Bus } from '@understudy/messaging';
import type { AuthenticationKeyStore } from '../registration/index.ts';
import type { HealthMonitorService } from '../services/health-monitor.service.ts';

/** Answers what other services ask about this server. */
export function answerQueries(bus: Bus, monitor: HealthMonitorService, keys: AuthenticationKeyStore): void {
  bus.handle(OwnStatusQuery, () => monitor.ownStatus());
  bus.handle(StatusQuery, () => monitor.status());
  bus.handle(EventsQuery, ({ since, limit }) => ({ events: monitor.events.list(since, limit) }));
  bus.handle(OperationsQuery, () => ({ operations: monitor.operations.list(monitor.progress) }));
  bus.handle(ConfigurationQuery, () => monitor.configuration());
  bus.handle(VerifyAuthenticationKey, ({ authenticationKey }) => keys.verify(authenticationKey));
}
