import { randomUUID } from 'node:crypto';
import { isTrusted, type RegistrationHello, trustedCertificates } from '@understudy/contracts';
import { replacementRefusal } from '@understudy/ha-core';
import type { AcceptedRegistration, AuthenticationKeyStore, RegistrationResponderPort } from '../registration/index.ts';
import { NO_VIRTUAL_ADDRESSES, type VirtualAddresses, type VirtualIpRequirements } from '../virtual-ip/index.ts';
import type { CertificateTrust } from './certificate-trust.ts';
import type { HealthMonitorService } from './health-monitor.service.ts';
import type { Pairing } from './pairing.ts';

/** What a registration asks of this secondary, and what it does to it. */
export function registrationGate(
  monitor: HealthMonitorService,
  pairing: Pairing,
  keys: AuthenticationKeyStore,
  requirements: VirtualIpRequirements,
  trust: Pick<CertificateTrust, 'objection'>,
): RegistrationResponderPort {
  const isPinnedPrimary = (hello: RegistrationHello) =>
    pairing.peer !== null &&
    trustedCertificates(pairing.peer).some(({ certificatePem }) => certificatePem === hello.certificatePem);
  // The primary asks again when the answer to its proof was lost: that is the registration under way, not another one.
  const isUnderWay = (hello: RegistrationHello) =>
    monitor.record.pairId === hello.pairId &&
    monitor.record.state === (hello.replacePrimary ? 'secondary-active' : 'ha-initializing') &&
    isPinnedPrimary(hello);

  async function register({ peer, hello }: AcceptedRegistration): Promise<void> {
    await pairing.accept(peer, hello);
    const { pairId, failoverType } = hello;
    const event = { type: 'registration-begun', operationId: randomUUID(), pairId, failoverType } as const;
    const decision = await monitor.submit(event);
    if (decision.rule !== null) return;
    await pairing.unpin();
    throw new Error(decision.refusal ?? 'this server cannot be registered now');
  }

  /** The peer is pinned before the record says so: a crash in between leaves a pair that hears nobody, and can be replaced again. */
  async function replace({ peer, hello }: AcceptedRegistration): Promise<void> {
    const { pairId, failoverType } = hello;
    const event = { pairId, failoverType, isPinnedPrimary: isPinnedPrimary(hello) };
    const pinAgain = await pairing.acceptInPlace(peer, hello);
    const decision = await monitor.submit({ type: 'replacement-begun', ...event });
    if (decision.rule !== null) return;
    await pinAgain();
    throw new Error(decision.refusal ?? 'the primary cannot be replaced now');
  }

  return {
    self: () => pairing.ownFacts,
    key: () => keys.read(),
    // a peer that is pinned without a pair is left over from a registration that was interrupted
    alreadyPaired: (hello) => {
      if (hello.replacePrimary || monitor.record.pairId === null || isUnderWay(hello)) return null;
      const paired = `${pairing.ownFacts.name} is paired with ${pairing.peer?.name ?? 'another server'} already`;
      return monitor.record.state === 'secondary-active'
        ? `${paired} and serves: a server takes the place of its lost primary with --replace-primary`
        : paired;
    },
    notReplaceable: (hello) =>
      !hello.replacePrimary || isUnderWay(hello) ? null : replacementRefusal(monitor.view, isPinnedPrimary(hello)),
    untrusted: (fingerprint) =>
      pairing.peer !== null && isTrusted(pairing.peer, fingerprint) ? null : trust.objection(fingerprint),
    noVirtualIp: (hello) => {
      if (isUnderWay(hello)) return null;
      const { virtualIp = NO_VIRTUAL_ADDRESSES, address: peerAddress } = hello;
      const { name: ownName, address: ownAddress } = pairing.ownFacts;
      const present = pairing.virtualIp;
      // clients know the address: it does not change by the way, because somebody replaces the other server
      if (hello.replacePrimary && (present.ipv4 !== virtualIp.ipv4 || present.ipv6 !== virtualIp.ipv6))
        return `the pair of ${ownName} has ${describe(present)}: register with the same`;
      return requirements.objections(virtualIp, { ownName, ownAddress, peerAddress })[0]?.message ?? null;
    },
    notReady: (hello) =>
      monitor.record.inFlight === null || isUnderWay(hello)
        ? null
        : `${pairing.ownFacts.name} is still cleaning up an earlier pair`,
    accepted: async (registration) => {
      if (isUnderWay(registration.hello)) return;
      await (registration.hello.replacePrimary ? replace(registration) : register(registration));
    },
    abandoned: async (pairId) => {
      if (monitor.record.pairId !== pairId) return false;
      return (await monitor.submit({ type: 'registration-abandoned' })).rule !== null;
    },
  };
}

function describe({ ipv4, ipv6 }: VirtualAddresses): string {
  const options = [ipv4 && `--virtual-ip ${ipv4}`, ipv6 && `--virtual-ip6 ${ipv6}`].filter((option) => option !== null);
  return options.length === 0 ? 'no virtual IP' : `the virtual IP ${options.join(' ')}`;
}
