import { Controller } from '@nestjs/common';
import { MessagePattern, Payload } from '@nestjs/microservices';
import {
  LatestReadinessReport,
  MeasurePeer,
  ReadinessOperationsQuery,
  StartReadinessChecks,
} from '@understudy/contracts';
import type { z } from 'zod';
import { MeasuringService } from '../services/measuring.service.ts';
import { PairGuard } from '../services/pair-guard.ts';
import { ReadinessService } from '../services/readiness.service.ts';

/** Starts runs for the gateway, tells what they found, and measures for the peer. */
@Controller()
export class ReadinessCheckerController {
  constructor(
    private readonly readiness: ReadinessService,
    private readonly measuring: MeasuringService,
    private readonly pair: PairGuard,
  ) {}

  @MessagePattern(StartReadinessChecks.subject)
  start() {
    return this.readiness.start();
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
  async measure(@Payload() { pairId }: z.output<typeof MeasurePeer.data>) {
    await this.pair.require(pairId);
    return this.measuring.measure();
  }
}

/** What this controller answers. */
export const ANSWERED = [StartReadinessChecks, LatestReadinessReport, ReadinessOperationsQuery, MeasurePeer];
