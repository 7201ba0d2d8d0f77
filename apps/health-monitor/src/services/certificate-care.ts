import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { AdoptCertificate, OfferCertificate } from '@understudy/contracts';
import { otherRole, type Server } from '@understudy/ha-core';
import type { Bus } from '@understudy/messaging';
import type { ServiceEnvironment } from '@understudy/platform';
import type { PeerDoors } from '../ports/peer-doors.port.ts';
import type { ShownCertificate } from '../ports/shown-certificate.port.ts';
import type { AttemptLimiter, AuthenticationKeyStore, RegistrationTransport } from '../registration/index.ts';
import { CertificateRenewal } from './certificate-renewal.ts';
import { CertificateTrust } from './certificate-trust.ts';
import { CertificateWatch } from './certificate-watch.ts';
import type { EventLog } from './event-log.ts';
import type { Pairing } from './pairing.ts';
import { PeerRecognition } from './peer-recognition.ts';

/** Connecting anew to every port of the other server, until each has followed. */
const ADOPTION_LIMIT_MS = 8000;
const OFFER_LIMIT_MS = 3000;

/** With what the care for certificates works. */
export interface CertificateParts {
  readonly bus: Bus;
  readonly pairing: Pairing;
  readonly events: EventLog;
  readonly keys: AuthenticationKeyStore;
  readonly peerLink: () => Server['link'];
  /** This server serves, and the peer takes over by itself when it is lost. */
  readonly isGuarded: () => boolean;
  readonly doors: PeerDoors;
  readonly shown: ShownCertificate;
  readonly transport: RegistrationTransport;
  /** That of registration: a key is not guessed faster by asking at two doors. */
  readonly limiter: AttemptLimiter;
}

/** Everything that is done about certificates: renewal, watch, trust, and recognising the peer under a new one. */
export interface CertificateCare {
  readonly renewal: CertificateRenewal;
  readonly watch: CertificateWatch;
  readonly trust: CertificateTrust;
  readonly recognition: PeerRecognition;
  start(): Promise<void>;
  stop(): Promise<void>;
}

/** Makes it, and answers the peer's part of a renewal. */
export function certificateCare(env: ServiceEnvironment, parts: CertificateParts): CertificateCare {
  const { configuration, paths, logger, clock } = env;
  const { bus, pairing, events, keys, peerLink, isGuarded, doors, shown, transport, limiter } = parts;
  const { name, role, address } = configuration.node;
  const toPeer = otherRole(role);
  const ownCertificate = () => readFile(paths.certificate, 'utf8');
  const surroundings = {
    name,
    address,
    paths,
    ownCertificate,
    peer: () => pairing.peer,
    peerLink,
    isPeerReachable: () => peerLink() === 'up',
    repin: (change: Parameters<Pairing['repin']>[0]) => pairing.repin(change),
    tell: (severity: 'info' | 'warning', message: string) => events.note({ severity, code: 'certificate', message }),
  };
  const watch = new CertificateWatch(
    async () => {
      const own = { key: 'own', title: `The certificate of ${name}`, certificatePem: await ownCertificate() };
      const { peer } = pairing;
      if (peer === null || peer.isForgotten) return [own];
      const { certificatePem } = peer;
      return [own, { key: 'peer', title: `The certificate of ${peer.name}`, certificatePem }];
    },
    (event) => events.note(event),
    join(paths.run, 'certificates.json'),
    () => clock.unixMs(),
    logger,
  );
  const renewal = new CertificateRenewal(
    {
      ...surroundings,
      wouldBeTakenOver: () => isGuarded() && !recognition.isForgottenByPeer,
      changed: (certificatePem) => {
        pairing.ownCertificate = certificatePem;
        void watch.look();
      },
      offer: (offer) => bus.request(OfferCertificate, offer, { timeoutMs: OFFER_LIMIT_MS, role: toPeer }),
      askToAdopt: (offer) => bus.request(AdoptCertificate, offer, { timeoutMs: ADOPTION_LIMIT_MS, role: toPeer }),
    },
    doors,
    logger,
  );
  bus.handle(OfferCertificate, (offer) => renewal.offered(offer));
  bus.handle(AdoptCertificate, (offer) => renewal.askedToAdopt(offer));
  const trust = new CertificateTrust(surroundings, logger);
  const recognition = new PeerRecognition(surroundings, trust, keys, shown, transport, limiter, clock, logger);
  return {
    renewal,
    watch,
    trust,
    recognition,
    start: async () => {
      await trust.load();
      await watch.start();
      await renewal.start();
      recognition.start();
    },
    stop: async () => {
      watch.stop();
      await renewal.stop();
      await recognition.stop();
    },
  };
}
