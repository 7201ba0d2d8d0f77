import { randomUUID } from 'node:crypto';
import { Controller } from '@nestjs/common';
import { MessagePattern, Payload } from '@nestjs/microservices';
import {
  ActivateAlone,
  BeginMaintenance,
  CancelOperation,
  ChangeConfiguration,
  EndMaintenance,
  Failback,
  Failover,
  ForcedFailover,
  Register,
  RemoveHa,
} from '@understudy/contracts';
import { BusError } from '@understudy/messaging';
import type { z } from 'zod';
import { HealthMonitorService, type Order } from '../services/health-monitor.service.ts';
import { MaintenanceService } from '../services/maintenance.ts';
import { Pairing, targetOf } from '../services/pairing.ts';
import { SharedVirtualIp } from '../services/shared-virtual-ip.ts';
import { addressesOf, type VirtualAddresses, VirtualIpRequirements } from '../virtual-ip/index.ts';

type Data<Definition extends { data: z.ZodType }> = z.output<Definition['data']>;

/** Takes an operator's orders from the gateway. A refused order carries the failing condition. */
@Controller()
export class OrdersController {
  constructor(
    private readonly monitor: HealthMonitorService,
    private readonly pairing: Pairing,
    private readonly maintenance: MaintenanceService,
    private readonly requirements: VirtualIpRequirements,
    private readonly sharedVirtualIp: SharedVirtualIp,
  ) {}

  @MessagePattern(Register.subject)
  async register(@Payload() order: Data<typeof Register>) {
    const { secondaryAddress, authenticationKey, failoverType, emailAddresses } = order;
    const { replacePrimary: replacesPrimary = false, confirmed = false } = order;
    const [operationId, pairId] = [randomUUID(), randomUUID()];
    const event = { operationId, pairId, failoverType, replacesPrimary, confirmed };
    const refusal = this.monitor.refusalOf({ type: 'operator-register', ...event });
    if (refusal !== null) throw refusal;
    const virtualIp = await this.acceptableVirtualIp(order);
    const target = { secondaryAddress, authenticationKey, emailAddresses, virtualIp };
    this.pairing.remember(operationId, { pairId, failoverType, replacesPrimary, ...target });
    await this.monitor.order({ type: 'operator-register', ...event }).catch((error: unknown) => {
      this.pairing.forget(operationId);
      throw error;
    });
    return { operationId };
  }

  @MessagePattern(Failover.subject)
  async failover(@Payload() { acceptDataLoss }: Data<typeof Failover>) {
    const operationId = randomUUID();
    await this.monitor.order({ type: 'operator-failover', operationId, acceptDataLoss });
    return { operationId };
  }

  @MessagePattern(ForcedFailover.subject)
  async forcedFailover() {
    const operationId = randomUUID();
    await this.monitor.order({ type: 'operator-forced-failover', operationId });
    return { operationId };
  }

  @MessagePattern(Failback.subject)
  async failback(@Payload() { force, acceptDataLoss }: Data<typeof Failback>) {
    const operationId = randomUUID();
    await this.monitor.order({ type: 'operator-failback', operationId, force, acceptDataLoss });
    return { operationId };
  }

  @MessagePattern(ActivateAlone.subject)
  async activateAlone(@Payload() { confirm, acceptDataLoss = false }: Data<typeof ActivateAlone>) {
    const operationId = randomUUID();
    await this.confirmedOrder({ type: 'operator-activate-alone', operationId, acceptDataLoss }, confirm);
    return { operationId };
  }

  @MessagePattern(RemoveHa.subject)
  async remove(@Payload() { confirm, acceptDataLoss = false }: Data<typeof RemoveHa>) {
    const operationId = randomUUID();
    const confirmed = confirm !== undefined;
    await this.confirmedOrder({ type: 'operator-remove', operationId, confirmed, acceptDataLoss }, confirm);
    return { operationId };
  }

  @MessagePattern(BeginMaintenance.subject)
  beginMaintenance(@Payload() { minutes, reason }: Data<typeof BeginMaintenance>) {
    return this.maintenance.begin(minutes, reason);
  }

  @MessagePattern(EndMaintenance.subject)
  endMaintenance() {
    return this.maintenance.end();
  }

  @MessagePattern(CancelOperation.subject)
  async cancel(@Payload() { operationId }: Data<typeof CancelOperation>) {
    const known = this.monitor.operations.list(null).find(({ id }) => id === operationId);
    if (known === undefined) throw new BusError('not-found', `there is no operation ${operationId}`);
    if (known.state !== 'running') throw new BusError('already-finished', `the operation has ${known.state}`);
    const refusal = this.monitor.refusalOf({ type: 'operator-cancel' });
    if (refusal !== null) throw new BusError('past-point-of-no-return', refusal.message);
    await this.monitor.order({ type: 'operator-cancel' });
    return {};
  }

  @MessagePattern(ChangeConfiguration.subject)
  async changeConfiguration(@Payload() wanted: Data<typeof ChangeConfiguration>) {
    const { failoverType, emailAddresses, virtualIp } = wanted;
    const { record } = this.monitor;
    if (virtualIp !== undefined) await this.sharedVirtualIp.change(addressesOf(virtualIp ?? {}));
    // a secondary refuses it also where there is nothing to change
    if (failoverType !== undefined && (failoverType !== record.failoverType || record.role === 'secondary')) {
      await this.monitor.order({ type: 'operator-failover-type', failoverType });
    }
    if (emailAddresses !== undefined) await this.pairing.changeEmailAddresses(emailAddresses);
    return this.monitor.configuration();
  }

  /** The addresses of a registration as they are kept. Throws BusError `invalid-input` with the fields that cannot be. */
  private async acceptableVirtualIp({ virtualIp, secondaryAddress }: Data<typeof Register>): Promise<VirtualAddresses> {
    const wanted = addressesOf(virtualIp ?? {});
    const { name: ownName, address: ownAddress, ports } = this.pairing.ownFacts;
    const { address: peerAddress } = targetOf(secondaryAddress, ports.healthMonitor);
    const objections = await this.requirements.objectionsNow(wanted, { ownName, ownAddress, peerAddress });
    const [first] = objections;
    if (first !== undefined) throw new BusError('invalid-input', first.message, false, objections);
    return wanted;
  }

  /** An order with the name of the peer. What is not possible at all is refused as that, whatever name was given. */
  private async confirmedOrder(order: Order, confirm: string | undefined): Promise<void> {
    const { peer } = this.pairing;
    if (confirm !== undefined && peer !== null && confirm !== peer.name) {
      const refusal = this.monitor.refusalOf(order);
      if (refusal !== null) throw refusal;
      const message = `must be the name of the peer, ${peer.name}`;
      throw new BusError('invalid-input', `/confirm ${message}`, false, [{ pointer: '/confirm', message }]);
    }
    await this.monitor.order(order);
  }
}

/** What this controller answers. */
export const ORDERS = [
  Register,
  Failover,
  ForcedFailover,
  Failback,
  ActivateAlone,
  RemoveHa,
  BeginMaintenance,
  EndMaintenance,
  CancelOperation,
  ChangeConfiguration,
];
