import { Controller, Param, Res } from '@nestjs/common';
import { CancelOperation, type OperationView, ReadinessOperationsQuery } from '@understudy/contracts';
import type { Response } from 'express';
import { LIMITS } from '../config.ts';
import { ProblemError } from '../domain/problem.ts';
import { ROUTES } from '../domain/routes.ts';
import { HealthMonitorService } from '../services/health-monitor.service.ts';
import { ReadinessCheckerService } from '../services/readiness-checker.service.ts';
import { Checked } from './input.pipe.ts';
import { operationStarted } from './operation-started.ts';
import { Serves } from './served-route.ts';

/** Runs of the readiness checks have ids that begin so; all other operations are health-monitor's. */
const READINESS_PREFIX = 'readiness-';

/** Long work and its progress. */
@Controller()
export class OperationsController {
  constructor(
    private readonly healthMonitor: HealthMonitorService,
    private readonly readinessChecker: ReadinessCheckerService,
  ) {}

  @Serves(ROUTES.operations)
  async list() {
    const [{ operations }, checks] = await Promise.all([
      this.healthMonitor.operations(),
      // what was checked is no reason to hide what is being done, or to wait for it
      this.healthMonitor.withinOrNull(LIMITS.standingMs, this.readinessChecks()),
    ]);
    const newestFirst = (a: OperationView, b: OperationView) => b.startedAt.localeCompare(a.startedAt);
    return { operations: [...operations, ...(checks ?? [])].sort(newestFirst) };
  }

  @Serves(ROUTES.operation)
  async one(@Param('id') id: string) {
    const operations = id.startsWith(READINESS_PREFIX)
      ? await this.readinessChecks()
      : (await this.healthMonitor.operations()).operations;
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
    if (id.startsWith(READINESS_PREFIX)) {
      const detail = 'Readiness checks change nothing, and end within 30 s by themselves.';
      throw new ProblemError(409, 'not-allowed', detail);
    }
    await this.healthMonitor.ask(CancelOperation, { operationId: id });
    return operationStarted(response, { operationId: id });
  }

  private async readinessChecks(): Promise<OperationView[]> {
    return (await this.readinessChecker.ask(ReadinessOperationsQuery, {})).operations;
  }
}
