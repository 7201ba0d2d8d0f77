import { Controller, Res } from '@nestjs/common';
import { MeasurementsQuery, PairStandingQuery } from '@understudy/contracts';
import { isSample, prometheusText } from '@understudy/telemetry';
import type { Response } from 'express';
import type { z } from 'zod';
import { LIMITS } from '../config.ts';
import type { HealthInput } from '../domain/inputs.ts';
import { certificateMetrics, metricsOf } from '../domain/metrics.ts';
import { answerProbe, type Probe, type ProbeAnswer } from '../domain/probes.ts';
import { ROUTES } from '../domain/routes.ts';
import { CertificatesService } from '../services/certificates.service.ts';
import { HealthMonitorService } from '../services/health-monitor.service.ts';
import { VersionService } from '../services/version.service.ts';
import { CheckedQuery } from './input.pipe.ts';
import { Serves } from './served-route.ts';

/** What load balancers, scripts and Prometheus ask: no login, and never a wait beyond the status deadline. */
@Controller()
export class ProbesController {
  constructor(
    private readonly healthMonitor: HealthMonitorService,
    private readonly version: VersionService,
    private readonly certificates: CertificatesService,
  ) {}

  @Serves(ROUTES.health)
  async health(
    @CheckedQuery(ROUTES.health) { pair }: z.output<typeof HealthInput>,
    @Res({ passthrough: true }) response: Response,
  ) {
    if (pair === undefined) return this.answer('health', response);
    // The peer waits no longer than its probe may take, and has to hear of a manager that is stuck.
    const [answer, standing] = await Promise.all([
      this.answer('health', response, LIMITS.standingMs),
      this.healthMonitor.withinOrNull(
        LIMITS.standingMs,
        this.healthMonitor.ask(PairStandingQuery, { pairId: pair }, LIMITS.standingMs),
      ),
    ]);
    return { ...answer, decides: standing !== null, ...standing };
  }

  @Serves(ROUTES.active)
  active(@Res({ passthrough: true }) response: Response) {
    return this.answer('active', response);
  }

  @Serves(ROUTES.standby)
  standby(@Res({ passthrough: true }) response: Response) {
    return this.answer('standby', response);
  }

  @Serves(ROUTES.metrics)
  async metrics(@Res({ passthrough: true }) response: Response): Promise<string> {
    response.setHeader('content-type', ROUTES.metrics.media);
    const [status, certificates, counted] = await Promise.all([
      this.healthMonitor.statusOrNull(),
      this.certificates.pems().catch(() => ({ own: null, peer: null })),
      this.healthMonitor.withinOrNull(LIMITS.statusMs, this.healthMonitor.ask(MeasurementsQuery, {}, LIMITS.statusMs)),
    ]);
    return prometheusText([
      ...metricsOf(status, this.version.version),
      ...certificateMetrics(certificates),
      ...(counted?.samples ?? []).filter(isSample),
    ]);
  }

  private async answer(probe: Probe, response: Response, limitMs: number = LIMITS.statusMs): Promise<ProbeAnswer> {
    const status = await this.healthMonitor.withinOrNull(limitMs, this.healthMonitor.status());
    const answer = answerProbe(probe, status);
    response.status(answer.ok ? 200 : 503);
    return answer;
  }
}
