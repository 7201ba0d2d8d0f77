import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { Controller, Req, Res } from '@nestjs/common';
import {
  BearerQuery,
  MeasureForCandidate,
  type ReadinessHello,
  ReadinessHelloCommand,
  ReadinessProveCommand,
  type TicketOrderSchema,
} from '@understudy/contracts';
import type { Request, Response } from 'express';
import type { z } from 'zod';
import { LIMITS } from '../config.ts';
import { ROUTES } from '../domain/routes.ts';
import { HealthMonitorService } from '../services/health-monitor.service.ts';
import { ReadinessCheckerService } from '../services/readiness-checker.service.ts';
import { ReadinessGateService } from '../services/registration-gate.service.ts';
import { Checked } from './input.pipe.ts';
import { sourceOf } from './request-facts.ts';
import { Serves } from './served-route.ts';

const BLOCK = Buffer.alloc(LIMITS.sampleBlockBytes);

/** Readiness checks of two servers that are no pair yet: the authentication key is proven first, as in a registration. */
@Controller()
export class CandidateController {
  constructor(
    private readonly healthMonitor: HealthMonitorService,
    private readonly checker: ReadinessCheckerService,
    private readonly gate: ReadinessGateService,
  ) {}

  @Serves(ROUTES.readinessHello)
  hello(@Checked(ROUTES.readinessHello) body: ReadinessHello, @Req() request: Request) {
    this.gate.enter(sourceOf(request));
    return this.healthMonitor.ask(ReadinessHelloCommand, body);
  }

  @Serves(ROUTES.readinessProve)
  prove(@Checked(ROUTES.readinessProve) body: z.output<typeof ReadinessProveCommand.data>, @Req() request: Request) {
    this.gate.enter(sourceOf(request));
    return this.healthMonitor.ask(ReadinessProveCommand, body);
  }

  @Serves(ROUTES.readinessMeasure)
  async measure(@Checked(ROUTES.readinessMeasure) order: z.output<typeof TicketOrderSchema>, @Req() request: Request) {
    this.gate.present(sourceOf(request));
    const candidate = await this.healthMonitor.ask(BearerQuery, { ticket: order.ticket });
    return this.checker.ask(MeasureForCandidate, { ...order, candidate }, LIMITS.measureMs);
  }

  /** Ends when the other side has had enough, or time is over: neither is an error. */
  @Serves(ROUTES.readinessSample)
  async sample(
    @Checked(ROUTES.readinessSample) { ticket }: { ticket: string },
    @Req() request: Request,
    @Res() response: Response,
  ) {
    this.gate.present(sourceOf(request));
    await this.healthMonitor.ask(BearerQuery, { ticket });
    response.setHeader('content-type', 'application/octet-stream');
    const blocks = Readable.from(Array.from({ length: LIMITS.sampleBlocks }, () => BLOCK));
    await pipeline(blocks, response, { signal: AbortSignal.timeout(LIMITS.sampleMs) }).catch(() => response.destroy());
  }
}
