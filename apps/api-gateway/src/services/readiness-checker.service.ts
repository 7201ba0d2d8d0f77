import { Injectable } from '@nestjs/common';
import type { RequestDefinition } from '@understudy/contracts';
import type { z } from 'zod';
import { LIMITS } from '../config.ts';
import { problemOfRequest } from '../domain/problem.ts';
import { MessageBus } from '../ports/message-bus.port.ts';

/** Asks this server's readiness-checker; what goes wrong is a ProblemError for the client. */
@Injectable()
export class ReadinessCheckerService {
  constructor(private readonly bus: MessageBus) {}

  async ask<Data extends z.ZodType, Reply extends z.ZodType>(
    definition: RequestDefinition<Data, Reply>,
    data: z.input<Data>,
  ): Promise<z.output<Reply>> {
    try {
      return await this.bus.request(definition, data, { timeoutMs: LIMITS.queryMs });
    } catch (error) {
      throw problemOfRequest('readiness-checker', error);
    }
  }
}
