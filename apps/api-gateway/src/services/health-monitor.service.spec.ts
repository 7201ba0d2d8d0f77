import { expect, it } from '@jest/globals';
import { CancelOperation, StatusQuery } from '@understudy/contracts';
import { BusError, type Order } from '@understudy/messaging';
import type { MessageBus } from '../ports/message-bus.port.ts';
import { HealthMonitorService } from './health-monitor.service.ts';

/** A bus whose first answers are these failures; how often it was asked, and with which orders. */
function busThatFails(...codes: string[]) {
  const left = [...codes];
  const bus = {
    asked: 0,
    orders: [] as (Order | undefined)[],
    request: async (_definition: unknown, _data: unknown, { order }: { order?: Order }) => {
      bus.asked += 1;
      bus.orders.push(order);
      const code = left.shift();
      if (code !== undefined) throw new BusError(code, code);
      return {};
    },
  };
  return bus;
}

const clock = { nowMs: () => performance.now(), unixMs: () => Date.now() };
const ask = (bus: ReturnType<typeof busThatFails>, definition: typeof StatusQuery | typeof CancelOperation) =>
  new HealthMonitorService(bus as unknown as MessageBus, clock as never).ask(definition as typeof StatusQuery, {});

it('waits for a bus that is being replaced', async () => {
  const bus = busThatFails('bus-disconnected', 'no-responder');
  await ask(bus, StatusQuery);
  expect(bus.asked).toBe(3);
});

it('repeats a command that may have arrived as the same order', async () => {
  const bus = busThatFails('bus-disconnected', 'no-responder', 'bus-disconnected');
  await ask(bus, CancelOperation);
  const [first, ...repeated] = bus.orders;
  expect(first?.isRepeated).toBe(false);
  expect(repeated).toEqual(Array(3).fill({ ...first, isRepeated: true }));
});

it('sends a command that has surely not arrived as one that was never sent', async () => {
  const bus = busThatFails('no-responder');
  await ask(bus, CancelOperation);
  const [first, second] = bus.orders;
  expect(second?.isRepeated).toBe(false);
  expect(second?.id).not.toBe(first?.id);
  expect(second?.firstSentMs).toBeGreaterThan(first?.firstSentMs ?? Number.POSITIVE_INFINITY);
});

it.each(['deadline-exceeded', 'outcome-unknown'])('does not repeat a command after %s', async (code) => {
  const bus = busThatFails(code);
  await expect(ask(bus, CancelOperation)).rejects.toThrow();
  expect(bus.asked).toBe(1);
});

it('gives a bus up that stays away', async () => {
  const bus = busThatFails(...Array<string>(1000).fill('bus-disconnected'));
  await expect(ask(bus, CancelOperation)).rejects.toMatchObject({ status: 503, code: 'unavailable' });
}, 10_000);
