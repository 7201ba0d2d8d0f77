import { expect, it } from '@jest/globals';
import { CancelOperation, StatusQuery } from '@understudy/contracts';
import { BusError } from '@understudy/messaging';
import type { MessageBus } from '../ports/message-bus.port.ts';
import { HealthMonitorService } from './health-monitor.service.ts';

/** A bus whose first answers are these failures; how often it was asked. */
function busThatFails(...codes: string[]) {
  const left = [...codes];
  const bus = {
    asked: 0,
    request: async () => {
      bus.asked += 1;
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

it('does not repeat an order that may have been taken', async () => {
  const bus = busThatFails('bus-disconnected');
  await expect(ask(bus, CancelOperation)).rejects.toThrow();
  expect(bus.asked).toBe(1);
});
