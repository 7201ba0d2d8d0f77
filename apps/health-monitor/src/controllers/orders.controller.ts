import { randomUUID } from 'node:crypto';
import {
  ActivateAlone,
  CancelOperation,
  ChangeConfiguration,
  Failback,
  Failover,
  ForcedFailover,
  Register,
  RemoveHa,
} from '@understudy/contracts';
import { type Bus, BusError } from '@understudy/messaging';
import type { HealthMonitorService } from '../services/health-monitor.service.ts';
import type { Pairing } from '../services/pairing.ts';

/** Takes an operator's orders from the gateway. Refused orders carry the failing condition. */
export function answerOrders(bus: Bus, monitor: HealthMonitorService, pairing: Pairing): void {
  bus.handle(Register, async ({ secondaryAddress, authenticationKey, emailAddresses, failoverType, virtualIp }) => {
    if (virtualIp?.ipv4 !== undefined || virtualIp?.ipv6 !== undefined) {
      throw new BusError('not-yet-available', 'the virtual IP is not yet available: register without it', false);
    }
    const [operationId, pairId] = [randomUUID(), randomUUID()];
    pairing.remember(operationId, { pairId, secondaryAddress, authenticationKey, failoverType, emailAddresses });
    await monitor.order({ type: 'operator-register', operationId, pairId, failoverType });
    return { operationId };
  });
  bus.handle(Failover, async ({ acceptDataLoss }) => {
    const operationId = randomUUID();
    await monitor.order({ type: 'operator-failover', operationId, acceptDataLoss });
    return { operationId };
  });
  bus.handle(ForcedFailover, async () => {
    const operationId = randomUUID();
    await monitor.order({ type: 'operator-forced-failover', operationId });
    return { operationId };
  });
  bus.handle(Failback, async ({ force }) => {
    if (force) throw new BusError('not-yet-available', 'the forced failback is not yet available', false);
    const operationId = randomUUID();
    await monitor.order({ type: 'operator-failback', operationId });
    return { operationId };
  });
  bus.handle(ActivateAlone, async ({ confirm }) => {
    const peer = pairing.peer;
    if (peer !== null && confirm !== peer.name) {
      const message = `confirm must be the name of the peer, ${peer.name}`;
      throw new BusError('invalid-input', message, false, [{ pointer: '/confirm', message }]);
    }
    const operationId = randomUUID();
    await monitor.order({ type: 'operator-activate-alone', operationId });
    return { operationId };
  });
  bus.handle(RemoveHa, () => {
    throw new BusError('not-yet-available', 'removing HA is not yet available', false);
  });
  bus.handle(CancelOperation, async ({ operationId }) => {
    const known = monitor.operations.list(null).find(({ id }) => id === operationId);
    if (known === undefined) throw new BusError('not-found', `there is no operation ${operationId}`, false);
    if (known.state !== 'running') throw new BusError('already-finished', `the operation has ${known.state}`, false);
    await monitor.order({ type: 'operator-cancel' }).catch((error: unknown) => {
      throw error instanceof BusError ? new BusError('past-point-of-no-return', error.message, false) : error;
    });
    return {};
  });
  bus.handle(ChangeConfiguration, async ({ failoverType, emailAddresses }) => {
    if (failoverType !== undefined && failoverType !== monitor.record.failoverType)
      await monitor.order({ type: 'operator-failover-type', failoverType });
    if (emailAddresses !== undefined) await pairing.changeEmailAddresses(emailAddresses);
    return monitor.configuration();
  });
}
