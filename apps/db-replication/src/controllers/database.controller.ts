import { Controller } from '@nestjs/common';
import { MessagePattern, Payload } from '@nestjs/microservices';
import { DatabaseFactsQuery, PerformDatabaseTask } from '@understudy/contracts';
import type { z } from 'zod';
import { DatabaseEngine } from '../engine/engine.ts';

/** Takes health-monitor's commands. */
@Controller()
export class DatabaseController {
  constructor(private readonly engine: DatabaseEngine) {}

  @MessagePattern(PerformDatabaseTask.subject)
  perform(@Payload() request: z.output<typeof PerformDatabaseTask.data>) {
    return this.engine.desk.perform(request);
  }

  @MessagePattern(DatabaseFactsQuery.subject)
  facts() {
    return this.engine.facts();
  }
}
