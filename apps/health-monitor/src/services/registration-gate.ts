import { randomUUID } from 'node:crypto';
import type { RegistrationHello } from '@understudy/contracts';
import type { AuthenticationKeyStore, RegistrationResponderPort } from '../registration/index.ts';
import type { HealthMonitorService } from './health-monitor.service.ts';
import type { Pairing } from './pairing.ts';

/** What a registration asks of this secondary, and what it does to it. */
export function registrationGate(
  monitor: HealthMonitorService,
  pairing: Pairing,
  keys: AuthenticationKeyStore,
): RegistrationResponderPort {
  // The primary asks again when the answer to its proof was lost: that is the registration under way, not another one.
  const isUnderWay = ({ pairId, certificatePem }: RegistrationHello) =>
    monitor.record.pairId === pairId &&
    monitor.record.state === 'ha-initializing' &&
    pairing.peer?.certificatePem === certificatePem;
  return {
    self: () => pairing.ownFacts,
    key: () => keys.read(),
    // a peer that is pinned without a pair is left over from a registration that was interrupted
    alreadyPaired: (hello) =>
      monitor.record.pairId === null || isUnderWay(hello)
        ? null
        : `${pairing.ownFacts.name} is paired with ${pairing.peer?.name ?? 'another server'} already`,
    notReady: (hello) =>
      monitor.record.inFlight === null || isUnderWay(hello)
        ? null
        : `${pairing.ownFacts.name} is still cleaning up an earlier pair`,
    accepted: async ({ peer, hello }) => {
      if (isUnderWay(hello)) return;
      await pairing.accept(peer, hello);
      const { pairId, failoverType } = hello;
      const decision = await monitor.submit({
        type: 'registration-begun',
        operationId: randomUUID(),
        pairId,
        failoverType,
      });
      if (decision.rule !== null) return;
      await pairing.unpin();
      throw new Error(decision.refusal ?? 'this server cannot be registered now');
    },
    abandoned: async (pairId) => {
      if (monitor.record.pairId !== pairId) return false;
      return (await monitor.submit({ type: 'registration-abandoned' })).rule !== null;
    },
  };
}
