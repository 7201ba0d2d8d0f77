import { Controller, Res } from '@nestjs/common';
import { LatestReadinessReport, StartReadinessChecks } from '@understudy/contracts';
import type { Response } from 'express';
import type { z } from 'zod';
import type * as inputs from '../domain/inputs.ts';
import { ROUTES } from '../domain/routes.ts';
import { ReadinessCheckerService } from '../services/readiness-checker.service.ts';
import { Checked } from './input.pipe.ts';
import { operationStarted } from './operation-started.ts';
import { Serves } from './served-route.ts';

/** The readiness checks: started here, seen as an operation, and read when they have ended. */
@Controller()
export class ReadinessController {
  constructor(private readonly checker: ReadinessCheckerService) {}

  @Serves(ROUTES.startReadinessChecks)
  async start(
    @Checked(ROUTES.startReadinessChecks) {
      secondaryAddress,
      authenticationKey,
      fix = false,
    }: z.output<typeof inputs.ReadinessInput>,
    @Res({ passthrough: true }) response: Response,
  ) {
    const isComplete = secondaryAddress !== undefined && authenticationKey !== undefined;
    const order = isComplete ? { candidate: { secondaryAddress, authenticationKey }, fix } : { fix };
    return operationStarted(response, await this.checker.ask(StartReadinessChecks, order));
  }

  @Serves(ROUTES.latestReadinessChecks)
  latest() {
    return this.checker.ask(LatestReadinessReport, {});
  }
}
