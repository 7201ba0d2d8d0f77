import { randomUUID } from 'node:crypto';
import { RegistrationAbandonCommand, RegistrationHelloCommand, RegistrationProveCommand } from '@understudy/contracts';
import { type Bus, BusError } from '@understudy/messaging';
import type { Clock } from '@understudy/platform';
import { type AuthenticationKeyStore, type Refusable, RegistrationResponder } from '../registration/index.ts';
import type { HealthMonitorService } from '../services/health-monitor.service.ts';
import type { Pairing } from '../services/pairing.ts';

/** The secondary's side of registration: three steps that its gateway passes on. */
export function answerRegistration(
  bus: Bus,
  monitor: HealthMonitorService,
  pairing: Pairing,
  keys: AuthenticationKeyStore,
  clock: Clock,
): void {
  const responder = new RegistrationResponder(
    {
      self: () => pairing.ownFacts,
      key: () => keys.read(),
      alreadyPaired: () =>
        monitor.record.pairId === null && pairing.peer === null
          ? null
          : `this server is paired with ${pairing.peer?.name ?? 'another server'}`,
      accepted: async ({ peer, hello }) => {
        await pairing.accept(peer, hello);
        const decision = await monitor.submit({
          type: 'registration-begun',
          operationId: randomUUID(),
          pairId: hello.pairId,
          failoverType: hello.failoverType,
        });
        if (decision.rule === null) throw new Error(decision.refusal ?? 'this server cannot be registered now');
      },
      abandoned: async (pairId) => {
        if (monitor.record.pairId !== pairId) return false;
        return (await monitor.submit({ type: 'registration-abandoned' })).rule !== null;
      },
    },
    clock,
  );
  bus.handle(RegistrationHelloCommand, async (hello) => unwrap(await responder.hello(hello)));
  bus.handle(RegistrationProveCommand, async (step) => unwrap(await responder.prove(step)));
  bus.handle(RegistrationAbandonCommand, async (step) => unwrap(await responder.abandon(step)));
}

function unwrap<T>(result: Refusable<T>): T {
  if (!result.ok) throw new BusError(result.refusal.code, result.refusal.message, false);
  return result.value;
}
