import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { BusErrorBody, RequestDefinition } from '@understudy/contracts';
import type { Order } from '@understudy/messaging';
import type { z } from 'zod';
import { LIMITS } from '../config.ts';
import { problemOfRequest } from '../domain/problem.ts';
import type { Clock } from '../ports/clock.port.ts';
import type { MessageBus } from '../ports/message-bus.port.ts';

const RETRY_MS = 100;

/**
 * Sends one command or query to a service of this server. The bus is replaced when the peer changes, and is back within a second: for
 * LIMITS.busAwayMs of its kind it is asked again. A command that may have arrived is sent again as the same order, so that it is carried out once
 * and its one answer comes back. Rejects with a ProblemError, about that long after `timeoutMs` at the latest.
 */
export async function askService<Data extends z.ZodType, Reply extends z.ZodType>(
  service: string,
  { bus, clock }: { readonly bus: MessageBus; readonly clock: Clock },
  request: {
    readonly definition: RequestDefinition<Data, Reply>;
    readonly data: z.input<Data>;
    readonly timeoutMs: number;
  },
): Promise<z.output<Reply>> {
  const { definition, data, timeoutMs } = request;
  const awayMs = LIMITS.busAwayMs[definition.kind];
  const endMs = clock.nowMs() + timeoutMs + awayMs;
  let backByMs: number | undefined;
  let lost: Order | undefined;
  for (;;) {
    const nowMs = clock.nowMs();
    const order = lost ?? { id: randomUUID(), firstSentMs: nowMs, isRepeated: false };
    const leftMs = Math.max(RETRY_MS, Math.min(timeoutMs, endMs - nowMs));
    try {
      return await bus.request(definition, data, {
        timeoutMs: leftMs,
        ...(definition.kind === 'command' ? { order } : {}),
      });
    } catch (error) {
      const { code } = error as Partial<BusErrorBody>;
      const failedAtMs = clock.nowMs();
      backByMs ??= failedAtMs + awayMs;
      const isAway = code === 'bus-disconnected' || code === 'no-responder';
      if (!isAway || failedAtMs > backByMs) throw problemOfRequest(service, error);
      if (code === 'bus-disconnected') lost = { ...order, isRepeated: true };
      await sleep(RETRY_MS);
    }
  }
}
