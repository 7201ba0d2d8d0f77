import { expect, it } from '@jest/globals';
import { BusError } from '@understudy/messaging';
import type { HealthMonitorService, Order } from '../services/health-monitor.service.ts';
import type { MaintenanceService } from '../services/maintenance.ts';
import type { Pairing } from '../services/pairing.ts';
import type { SharedVirtualIp } from '../services/shared-virtual-ip.ts';
import type { VirtualIpRequirements } from '../virtual-ip/index.ts';
import { OrdersController } from './orders.controller.ts';

/** A server whose peer is beta, and the orders that it was given. */
function serverThatRefuses(reason: string | null) {
  const orders: Order[] = [];
  const refusalOf = () => reason && new BusError('not-allowed', reason);
  const monitor = {
    refusalOf,
    async order(order: Order) {
      const refusal = refusalOf();
      if (refusal) throw refusal;
      orders.push(order);
    },
  } as unknown as HealthMonitorService;
  const pairing = { peer: { name: 'beta' } } as Pairing;
  const others = [{} as MaintenanceService, {} as VirtualIpRequirements, {} as SharedVirtualIp] as const;
  return { orders, controller: new OrdersController(monitor, pairing, ...others) };
}

it('an order with the name of another server than the peer is not given', async () => {
  const { controller, orders } = serverThatRefuses(null);
  const said = '/confirm must be the name of the peer, beta';
  await expect(controller.activateAlone({ confirm: 'zzz', acceptDataLoss: true })).rejects.toThrow(said);
  await expect(controller.remove({ confirm: 'zzz', acceptDataLoss: true })).rejects.toThrow(said);
  expect(orders).toEqual([]);
  await controller.activateAlone({ confirm: 'beta', acceptDataLoss: true });
  await controller.remove({ confirm: 'beta', acceptDataLoss: true });
  expect(orders).toMatchObject([
    { type: 'operator-activate-alone', acceptDataLoss: true },
    { type: 'operator-remove', confirmed: true, acceptDataLoss: true },
  ]);
});

it('what is not possible at all is refused as that, whatever name was given', async () => {
  const { controller } = serverThatRefuses('the state is Primary Active, not Primary Alone');
  await expect(controller.activateAlone({ confirm: 'zzz' })).rejects.toThrow('Primary Active');
});
