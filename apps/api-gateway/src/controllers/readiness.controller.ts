import { Controller, Res } from '@nestjs/common';
import { LatestReadinessReport, StartReadinessChecks } from '@understudy/contracts';
import type { Response } from 'express';
import type { z } from 'zod';
import type * as inputs from '../domain/inputs.ts';
import { ProblemError } from '../domain/problem.ts';
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
    @Checked(ROUTES.startReadinessChecks) { secondaryAddress }: z.output<typeof inputs.ReadinessInput>,
    @Res({ passthrough: true }) response: Response,
  ) {
    if (secondaryAddress !== undefined) {
      const detail =
        'Checks of a secondary that is not registered: not yet available. Without an address this server is checked.';
      throw new ProblemError(501, 'not-yet-available', detail);
    }
    return operationStarted(response, await this.checker.ask(StartReadinessChecks, {}));
  }

  @Serves(ROUTES.latestReadinessChecks)
  latest() {
    return this.checker.ask(LatestReadinessReport, {});
  }
}
