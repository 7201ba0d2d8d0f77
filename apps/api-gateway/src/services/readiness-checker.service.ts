import { Injectable } from '@nestjs/common';
import type { RequestDefinition } from '@understudy/contracts';
import type { z } from 'zod';
import { LIMITS } from '../config.ts';
import { Clock } from '../ports/clock.port.ts';
import { MessageBus } from '../ports/message-bus.port.ts';
import { askService } from './ask-service.ts';

/** Asks this server's readiness-checker; what goes wrong is a ProblemError for the client. */
@Injectable()
export class ReadinessCheckerService {
  constructor(
    private readonly bus: MessageBus,
    private readonly clock: Clock,
  ) {}

  ask<Data extends z.ZodType, Reply extends z.ZodType>(
    definition: RequestDefinition<Data, Reply>,
    data: z.input<Data>,
    timeoutMs: number = LIMITS.queryMs,
  ): Promise<z.output<Reply>> {
    return askService('readiness-checker', { bus: this.bus, clock: this.clock }, { definition, data, timeoutMs });
  }
}
