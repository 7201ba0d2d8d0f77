import { z } from 'zod';
import { defineRequest, type ServiceName } from './define-message.ts';

/** What each service answers about itself on `local.v1.query.<service>.health`. */
export const ServiceHealthSchema = z.object({
  service: z.string(),
  version: z.string(),
  state: z.enum(['starting', 'ready', 'degraded']),
  /** Why it is not ready, one sentence; empty when it is. */
  reason: z.string(),
  startedAt: z.iso.datetime(),
  pid: z.int(),
});

/** A service's own word about its health. */
export type ServiceHealth = z.infer<typeof ServiceHealthSchema>;

/** The health query of one service; the runner asks it to notice a hung process by its missing answer. */
export function healthQueryOf(service: ServiceName) {
  return defineRequest({
    reach: 'local',
    service,
    kind: 'query',
    name: 'health',
    data: z.object({}),
    reply: ServiceHealthSchema,
  });
}

/** A request for the work of a service that later releases fill; until then it is answered with `not-yet-available`. */
export function workRequestOf(service: ServiceName) {
  return defineRequest({
    reach: 'local',
    service,
    kind: 'command',
    name: 'work',
    data: z.object({}),
    reply: z.object({}),
  });
}
