import { Controller } from '@nestjs/common';
import { MessagePattern, Payload } from '@nestjs/microservices';
import {
  LatestReadinessReport,
  MeasureForCandidate,
  MeasurePeer,
  ReadinessOperationsQuery,
  StartReadinessChecks,
} from '@understudy/contracts';
import type { z } from 'zod';
import { OwnSideService } from '../services/own-side.service.ts';
import { PairGuard } from '../services/pair-guard.ts';
import { ReadinessService } from '../services/readiness.service.ts';

/** Starts runs for the gateway, tells what they found, and measures for the peer. */
@Controller()
export class ReadinessCheckerController {
  constructor(
    private readonly readiness: ReadinessService,
    private readonly own: OwnSideService,
    private readonly pair: PairGuard,
  ) {}

  @MessagePattern(StartReadinessChecks.subject)
  start(@Payload() order: z.output<typeof StartReadinessChecks.data>) {
    return this.readiness.start(order);
  }

  @MessagePattern(LatestReadinessReport.subject)
  latest() {
    return this.readiness.latest();
  }

  @MessagePattern(ReadinessOperationsQuery.subject)
  operations() {
    return { operations: this.readiness.operations() };
  }

  @MessagePattern(MeasurePeer.subject)
  async measure(@Payload() { pairId, ...order }: z.output<typeof MeasurePeer.data>) {
    return this.own.follow(order, { server: await this.pair.require(pairId), ticket: null });
  }

  @MessagePattern(MeasureForCandidate.subject)
  measureForCandidate(@Payload() { candidate, ticket, ...order }: z.output<typeof MeasureForCandidate.data>) {
    return this.own.follow(order, { server: candidate, ticket });
  }
}

/** What this controller answers. */
export const ANSWERED = [
  StartReadinessChecks,
  LatestReadinessReport,
  ReadinessOperationsQuery,
  MeasurePeer,
  MeasureForCandidate,
];
