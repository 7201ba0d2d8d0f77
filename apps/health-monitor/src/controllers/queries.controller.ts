import { Controller } from '@nestjs/common';
import { MessagePattern, Payload } from '@nestjs/microservices';
import {
  ConfigurationQuery,
  EventsQuery,
  MeasurementsQuery,
  OperationsQuery,
  OwnStatusQuery,
  PairStandingQuery,
  StatusQuery,
  VerifyAuthenticationKey,
} from '@understudy/contracts';
import type { z } from 'zod';
import { AuthenticationKeyStore } from '../registration/index.ts';
import { HealthMonitorService } from '../services/health-monitor.service.ts';

/** Answers what other services ask about this server. */
@Controller()
export class QueriesController {
  constructor(
    private readonly monitor: HealthMonitorService,
    private readonly keys: AuthenticationKeyStore,
  ) {}

  @MessagePattern(OwnStatusQuery.subject)
  ownStatus() {
    return this.monitor.answerBeat();
  }

  @MessagePattern(StatusQuery.subject)
  status() {
    return this.monitor.status();
  }

  @MessagePattern(MeasurementsQuery.subject)
  measurements() {
    return { samples: this.monitor.meter.samples() };
  }

  @MessagePattern(EventsQuery.subject)
  events(@Payload() { since, limit }: z.output<typeof EventsQuery.data>) {
    return { events: this.monitor.events.list(since, limit) };
  }

  @MessagePattern(OperationsQuery.subject)
  listOperations() {
    return { operations: this.monitor.operations.list(this.monitor.progress) };
  }

  @MessagePattern(ConfigurationQuery.subject)
  configuration() {
    return this.monitor.configuration();
  }

  @MessagePattern(PairStandingQuery.subject)
  async pairStanding(@Payload() { pairId }: z.output<typeof PairStandingQuery.data>) {
    const { dissolved, replaced, role } = (await this.monitor.decideNow()).record;
    return {
      dissolved: dissolved.includes(pairId),
      replaced: role === 'secondary' && replaced.includes(pairId),
    };
  }

  @MessagePattern(VerifyAuthenticationKey.subject)
  verifyAuthenticationKey(@Payload() { authenticationKey }: z.output<typeof VerifyAuthenticationKey.data>) {
    return this.keys.verify(authenticationKey);
  }
}

/** What this controller answers. */
export const QUERIES = [
  OwnStatusQuery,
  PairStandingQuery,
  StatusQuery,
  MeasurementsQuery,
  EventsQuery,
  OperationsQuery,
  ConfigurationQuery,
  VerifyAuthenticationKey,
];
