import { Controller } from '@nestjs/common';
import { MessagePattern, Payload } from '@nestjs/microservices';
import { DatabaseFactsQuery, PerformDatabaseTask } from '@understudy/contracts';
import type { z } from 'zod';
import { DatabaseEngine } from '../engine/engine.ts';
import { IncidentOutbox } from '../engine/incident-outbox.ts';

/** Takes health-monitor's commands. */
@Controller()
export class DatabaseController {
  constructor(
    private readonly engine: DatabaseEngine,
    private readonly incidents: IncidentOutbox,
  ) {}

  @MessagePattern(PerformDatabaseTask.subject)
  perform(@Payload() request: z.output<typeof PerformDatabaseTask.data>) {
    this.incidents.open();
    return this.engine.desk.perform(request);
  }

  @MessagePattern(DatabaseFactsQuery.subject)
  facts() {
    return this.engine.facts();
  }
}
