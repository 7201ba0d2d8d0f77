import { Controller, Res } from '@nestjs/common';
import {
  ActivateAlone,
  BeginMaintenance,
  ChangeAuthenticationKey,
  ChangeConfiguration,
  ConfigurationQuery,
  EndMaintenance,
  Failback,
  Failover,
  ForcedFailover,
  Register,
  RemoveHa,
} from '@understudy/contracts';
import type { Response } from 'express';
import type { z } from 'zod';
import type * as inputs from '../domain/inputs.ts';
import { ROUTES } from '../domain/routes.ts';
import { HealthMonitorService } from '../services/health-monitor.service.ts';
import { Checked } from './input.pipe.ts';
import { operationStarted } from './operation-started.ts';
import { Serves } from './served-route.ts';

/** State, HA configuration and the operator's actions. */
@Controller()
export class HaController {
  constructor(private readonly healthMonitor: HealthMonitorService) {}

  @Serves(ROUTES.status)
  status() {
    return this.healthMonitor.freshStatus();
  }

  @Serves(ROUTES.processes)
  async processes() {
    const { processes } = await this.healthMonitor.freshStatus();
    return { processes };
  }

  @Serves(ROUTES.configuration)
  configuration() {
    return this.healthMonitor.ask(ConfigurationQuery, {});
  }

  @Serves(ROUTES.register)
  async register(
    @Checked(ROUTES.register) body: z.output<typeof inputs.RegisterInput>,
    @Res({ passthrough: true }) response: Response,
  ) {
    return operationStarted(response, await this.healthMonitor.ask(Register, body));
  }

  @Serves(ROUTES.changeConfiguration)
  changeConfiguration(@Checked(ROUTES.changeConfiguration) body: z.output<typeof inputs.ChangeConfigurationInput>) {
    return this.healthMonitor.ask(ChangeConfiguration, body);
  }

  @Serves(ROUTES.changeAuthenticationKey)
  changeAuthenticationKey(
    @Checked(ROUTES.changeAuthenticationKey) body: z.output<typeof inputs.AuthenticationKeyInput>,
  ) {
    return this.healthMonitor.ask(ChangeAuthenticationKey, body);
  }

  @Serves(ROUTES.remove)
  async remove(
    @Checked(ROUTES.remove) body: z.output<typeof inputs.RemoveInput>,
    @Res({ passthrough: true }) response: Response,
  ) {
    const { confirm, acceptDataLoss } = body;
    const order = { acceptDataLoss, ...(confirm === undefined ? {} : { confirm }) };
    return operationStarted(response, await this.healthMonitor.ask(RemoveHa, order));
  }

  @Serves(ROUTES.beginMaintenance)
  beginMaintenance(@Checked(ROUTES.beginMaintenance) body: z.output<typeof inputs.MaintenanceInput>) {
    return this.healthMonitor.ask(BeginMaintenance, body);
  }

  @Serves(ROUTES.endMaintenance)
  endMaintenance() {
    return this.healthMonitor.ask(EndMaintenance, {});
  }

  @Serves(ROUTES.failover)
  async failover(
    @Checked(ROUTES.failover) body: z.output<typeof inputs.FailoverInput>,
    @Res({ passthrough: true }) response: Response,
  ) {
    return operationStarted(response, await this.healthMonitor.ask(Failover, body));
  }

  @Serves(ROUTES.forcedFailover)
  async forcedFailover(@Checked(ROUTES.forcedFailover) _: unknown, @Res({ passthrough: true }) response: Response) {
    return operationStarted(response, await this.healthMonitor.ask(ForcedFailover, {}));
  }

  @Serves(ROUTES.failback)
  async failback(
    @Checked(ROUTES.failback) body: z.output<typeof inputs.FailbackInput>,
    @Res({ passthrough: true }) response: Response,
  ) {
    return operationStarted(response, await this.healthMonitor.ask(Failback, body));
  }

  @Serves(ROUTES.activateAlone)
  async activateAlone(
    @Checked(ROUTES.activateAlone) body: z.output<typeof inputs.ActivateAloneInput>,
    @Res({ passthrough: true }) response: Response,
  ) {
    return operationStarted(response, await this.healthMonitor.ask(ActivateAlone, body));
  }
}
