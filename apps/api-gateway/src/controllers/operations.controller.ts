import { Controller, Param, Res } from '@nestjs/common';
import { CancelOperation } from '@understudy/contracts';
import type { Response } from 'express';
import { ProblemError } from '../domain/problem.ts';
import { ROUTES } from '../domain/routes.ts';
import { HealthMonitorService } from '../services/health-monitor.service.ts';
import { Checked } from './input.pipe.ts';
import { operationStarted } from './operation-started.ts';
import { Serves } from './served-route.ts';

/** Long work and its progress. */
@Controller()
export class OperationsController {
  constructor(private readonly healthMonitor: HealthMonitorService) {}

  @Serves(ROUTES.operations)
  list() {
    return this.healthMonitor.operations();
  }

  @Serves(ROUTES.operation)
  async one(@Param('id') id: string) {
    const { operations } = await this.healthMonitor.operations();
    const found = operations.find((operation) => operation.id === id);
    if (!found) throw new ProblemError(404, 'not-found', `There is no operation ${id.slice(0, 100)}.`);
    return found;
  }

  @Serves(ROUTES.cancelOperation)
  async cancel(
    @Param('id') id: string,
    @Checked(ROUTES.cancelOperation) _: unknown,
    @Res({ passthrough: true }) response: Response,
  ) {
    await this.healthMonitor.ask(CancelOperation, { operationId: id });
    return operationStarted(response, { operationId: id });
  }
}
