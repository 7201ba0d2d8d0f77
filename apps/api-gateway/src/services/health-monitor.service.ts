import { setTimeout as sleep } from 'node:timers/promises';
import { Injectable } from '@nestjs/common';
import type { RequestDefinition, StatusView } from '@understudy/contracts';
import { EventsQuery, OperationsQuery, StatusQuery } from '@understudy/contracts';
import type { z } from 'zod';
import { LIMITS } from '../config.ts';
import { Clock } from '../ports/clock.port.ts';
import { MessageBus } from '../ports/message-bus.port.ts';
import { askService } from './ask-service.ts';

/** Asks this server's health-monitor. Every question has a deadline; what goes wrong is a ProblemError for the client. */
@Injectable()
export class HealthMonitorService {
  private cached: { atMs: number; status: Promise<StatusView> } | undefined;

  constructor(
    private readonly bus: MessageBus,
    private readonly clock: Clock,
  ) {}

  /** Sends one command or query; commands get longer than queries. */
  ask<Data extends z.ZodType, Reply extends z.ZodType>(
    definition: RequestDefinition<Data, Reply>,
    data: z.input<Data>,
    timeoutMs: number = definition.kind === 'command' ? LIMITS.commandMs : LIMITS.queryMs,
  ): Promise<z.output<Reply>> {
    return askService('health-monitor', { bus: this.bus, clock: this.clock }, { definition, data, timeoutMs });
  }

  /** The status, at most LIMITS.statusCacheMs old; those who ask at the same time share one question. */
  status(): Promise<StatusView> {
    const atMs = this.clock.nowMs();
    if (this.cached && atMs - this.cached.atMs < LIMITS.statusCacheMs) return this.cached.status;
    const status = this.ask(StatusQuery, {}, LIMITS.statusMs);
    this.cached = { atMs, status };
    status.catch(() => {
      this.cached = undefined;
    });
    return status;
  }

  /** The status as it is now, past the cache: for whoever just changed something. */
  freshStatus(): Promise<StatusView> {
    this.cached = undefined;
    return this.status();
  }

  async statusOrNull(): Promise<StatusView | null> {
    return this.status().catch(() => null);
  }

  /** The answer when it comes in time; null otherwise. Never rejects. */
  withinOrNull<T>(limitMs: number, answer: Promise<T>): Promise<T | null> {
    return Promise.race([answer.catch(() => null), sleep(limitMs, null, { ref: false })]);
  }

  events(since: number | null, limit: number) {
    return this.ask(EventsQuery, { since, limit });
  }

  operations() {
    return this.ask(OperationsQuery, {});
  }
}
