import { X509Certificate } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { type CertificateOffer, isTrusted, type PeerIdentity, trustedCertificates } from '@understudy/contracts';
import { BusError } from '@understudy/messaging';
import {
  fingerprintOf,
  type IdentityRenewal,
  type Logger,
  makeIdentity,
  type NodePaths,
  putInUse,
  readOwnIdentity,
  readRenewal,
  removeRenewal,
  writeRenewal,
} from '@understudy/platform';
import { Turns } from '../domain/turns.ts';
import type { PeerDoors } from '../ports/peer-doors.port.ts';

const TRY_AGAIN_MS = 5000;
/** The services of a server follow a new certificate within this time. */
const FOLLOWED_WITHIN_MS = 3000;
const KNOCK_AGAIN_MS = 250;
const SILENT: readonly string[] = ['no-responder', 'deadline-exceeded'];

/** What the peer says to an offer or to the question whether the old certificate can go. */
export interface PeerAnswer {
  readonly accepted: boolean;
  /** Why not, for people. */
  readonly reason: string;
}

/** What a renewal needs of this server and of its peer. */
export interface RenewalSurroundings {
  readonly name: string;
  readonly address: string;
  readonly paths: NodePaths;
  peer(): PeerIdentity | null;
  isPeerReachable(): boolean;
  /** The peer would take over by itself from this server, which serves, when it sees a certificate that it does not know. */
  wouldBeTakenOver(): boolean;
  /** See `Pairing.repin`. */
  repin(change: (peer: PeerIdentity) => PeerIdentity | null): Promise<boolean>;
  /** This server has another certificate. */
  changed(certificatePem: string): void;
  /** The peer's `offered`, over the pair link. Rejects when it does not answer. */
  offer(offer: CertificateOffer): Promise<PeerAnswer>;
  /** The peer's `askedToAdopt`, over the pair link. Rejects when it does not answer. */
  askToAdopt(offer: CertificateOffer): Promise<PeerAnswer>;
  tell(severity: 'info' | 'warning', message: string): void;
}

/** How far a renewal is. `reason`: what it waits for, for people; null: for nothing that is known. */
export interface RenewalState {
  readonly step: 'offered' | 'in-use' | null;
  readonly reason: string | null;
}

/**
 * Renews the certificate of this server with overlap. The peer trusts the new one beside the old before it is used, and drops the old
 * one only after both have connected anew to each other under the new one. Each step is on disk before it is taken and is repeated
 * until the peer has confirmed it: whenever either server ends, the certificates that are shown are trusted. Decision:
 * docs/decisions/0021-certificates.md.
 */
export class CertificateRenewal {
  private pending: IdentityRenewal | null = null;
  private reason: string | null = null;
  private readonly turns = new Turns();
  private timer: NodeJS.Timeout | undefined;

  constructor(
    private readonly own: RenewalSurroundings,
    private readonly doors: PeerDoors,
    private readonly logger: Logger,
  ) {}

  /** Goes on with what an earlier manager has begun. */
  async start(): Promise<void> {
    this.pending = await readRenewal(this.own.paths).catch((error: unknown) => {
      this.logger.error('A renewal of the certificate that was under way cannot be read', { error });
      return null;
    });
    // a manager that was killed between the two files has left a pair that nobody can read
    if (this.pending?.isInUse)
      await this.use(this.pending).catch((error: unknown) =>
        this.logger.error('The renewed certificate could not be put in its place', { error }),
      );
    const tryAgain = () => {
      // an attempt may take longer: a stop would wait for all that had queued up
      if (this.turns.isIdle) void this.complete();
    };
    this.timer = setInterval(tryAgain, TRY_AGAIN_MS).unref();
    tryAgain();
  }

  async stop(): Promise<void> {
    clearInterval(this.timer);
    await this.turns.settled();
  }

  /** Begins a renewal, or goes on with the one that is under way. Throws what the disk throws: then nothing has changed. */
  async renew(): Promise<RenewalState> {
    const { own } = this;
    await this.turns.take(async () => {
      if (this.pending !== null) return;
      const present = await readOwnIdentity(own.paths);
      if (present === null) throw new Error(`${own.paths.certificate} is missing`);
      const { certificatePem, privateKeyPem } = await makeIdentity(own);
      const formerCertificatePem = present.certificatePem;
      const renewal = { certificatePem, privateKeyPem, formerCertificatePem, isInUse: own.peer() === null };
      await writeRenewal(own.paths, renewal);
      this.pending = renewal;
    });
    return this.complete();
  }

  /** Goes on as far as it can now. Never rejects. */
  async complete(): Promise<RenewalState> {
    await this.turns.take(() => this.completeNow().catch((error: unknown) => this.couldNotGoOn(error)));
    return this.state;
  }

  private couldNotGoOn(error: unknown): void {
    const isSilent = error instanceof BusError && SILENT.includes(error.code);
    const silence = `${this.own.peer()?.name ?? 'the other server'} does not answer`;
    const reason = isSilent ? silence : error instanceof Error ? error.message : String(error);
    if (reason !== this.reason) this.logger.warn('The renewal of the certificate could not go on', { error });
    this.reason = reason;
  }

  get state(): RenewalState {
    const { pending, reason } = this;
    if (pending === null) return { step: null, reason: null };
    return { step: pending.isInUse ? 'in-use' : 'offered', reason };
  }

  /** Peer's side: it is about to show that certificate. Says the same to an offer that comes again. */
  async offered({ pairId, certificatePem }: CertificateOffer): Promise<PeerAnswer> {
    const { own } = this;
    const peer = own.peer();
    if (peer?.pairId !== pairId) return refused(`${own.name} is not of that pair`);
    // whoever speaks under a certificate that is trusted no more has no word in what comes after it
    const isForgotten = refused(`${own.name} has forgotten the certificate of ${peer.name}`);
    if (peer.isForgotten) return isForgotten;
    const problem = problemOf(certificatePem, peer);
    if (problem !== null) return refused(problem);
    const fingerprint = fingerprintOf(certificatePem);
    if (isTrusted(peer, fingerprint)) return { accepted: true, reason: '' };
    const isNoted = await own.repin((present) =>
      present.pairId === pairId && !present.isForgotten ? { ...present, next: { certificatePem, fingerprint } } : null,
    );
    return isNoted ? { accepted: true, reason: '' } : isForgotten;
  }

  /** Peer's side: it uses that certificate. The old one is dropped when connections to all of its ports prove so. */
  async askedToAdopt({ pairId, certificatePem }: CertificateOffer): Promise<PeerAnswer> {
    const { own } = this;
    const peer = own.peer();
    if (peer?.pairId !== pairId) return refused(`${own.name} is not of that pair`);
    const fingerprint = fingerprintOf(certificatePem);
    if (peer.fingerprint === fingerprint) return { accepted: true, reason: '' };
    if (!isTrusted(peer, fingerprint)) return refused(`${own.name} has not been offered this certificate`);
    const objection = await untilOpen(async () => {
      // this server may be renewing its own meanwhile
      const identity = await readOwnIdentity(own.paths);
      if (identity === null) return `${own.name} has no certificate of its own`;
      return this.doors.objection(peer, identity, [fingerprint]);
    });
    if (objection !== null) return refused(objection);
    const isAdopted = await own.repin((present) => {
      if (present.pairId !== pairId || present.next?.fingerprint !== fingerprint) return null;
      const { next: _, ...rest } = present;
      return { ...rest, certificatePem, fingerprint };
    });
    if (!isAdopted) return refused(`${own.name} has another peer now, or another offer`);
    own.tell(
      'info',
      `${peer.name} has renewed its certificate: ${fingerprint} is pinned, and its old one is not trusted any more.`,
    );
    return { accepted: true, reason: '' };
  }

  private async completeNow(): Promise<void> {
    const { own, pending } = this;
    if (pending === null) return;
    const peer = own.peer();
    if (peer === null && !pending.isInUse) return this.giveUp();
    // nobody takes the old one: there is nothing to wait for
    const isUseless = isExpired(pending.formerCertificatePem) && !own.isPeerReachable();
    if (isUseless && !pending.isInUse && peer !== null && own.wouldBeTakenOver())
      return this.wait(
        `the certificate has expired, and ${peer.name} would take over when this server showed one that it does not know. First, on ${peer.name}: "understudy cert forget ${own.name}"`,
        'It goes on by itself then.',
      );
    if (peer === null || isUseless) await this.use(pending);
    if (peer === null) return this.finish(pending, '');
    const offer = { pairId: peer.pairId, certificatePem: pending.certificatePem };
    if (!own.isPeerReachable()) {
      this.reason = `${peer.name} is not reachable`;
      return;
    }
    if (!pending.isInUse && !(await this.isTakenBy(peer, pending, offer))) return;
    await this.use(pending);
    const answer = await own.askToAdopt(offer);
    if (answer.accepted) return this.finish(pending, ` ${peer.name} has proven it and trusts the old one no more.`);
    this.wait(answer.reason);
    // it may be a peer that came back without what it had been told
    await own.offer(offer);
  }

  /** The peer trusts the new certificate, and every part of it has let this server in with it. */
  private async isTakenBy(peer: PeerIdentity, pending: IdentityRenewal, offer: CertificateOffer): Promise<boolean> {
    const answer = await this.own.offer(offer);
    const identity = { ...pending, fingerprint: fingerprintOf(pending.certificatePem) };
    // the peer may be renewing its own meanwhile
    const expected = () => trustedCertificates(this.own.peer() ?? peer).map(({ fingerprint }) => fingerprint);
    const objection = answer.accepted
      ? await untilOpen(() => this.doors.objection(peer, identity, expected()))
      : answer.reason;
    if (objection !== null) this.wait(objection);
    return objection === null;
  }

  private wait(reason: string, rest = 'Both certificates are trusted meanwhile.'): void {
    if (this.reason !== reason) this.own.tell('warning', `The renewal of the certificate waits: ${reason}. ${rest}`);
    this.reason = reason;
  }

  private async use(pending: IdentityRenewal): Promise<void> {
    const { own } = this;
    const used = { ...pending, isInUse: true };
    if (!pending.isInUse) await writeRenewal(own.paths, used);
    this.pending = used;
    const present = await readOwnIdentity(own.paths).catch(() => null);
    if (present?.certificatePem === used.certificatePem) return;
    await putInUse(own.paths, used);
    own.changed(used.certificatePem);
  }

  /** The pair was removed before the peer had taken the new one. Where it could not be told, it asks a server with the old one. */
  private async giveUp(): Promise<void> {
    await removeRenewal(this.own.paths);
    this.pending = null;
    this.reason = null;
    const why = 'the pair was removed before the other server had taken the new one';
    this.own.tell(
      'warning',
      `The renewal of the certificate of ${this.own.name} is given up: ${why}. When HA is removed there too: "understudy cert renew".`,
    );
  }

  private async finish({ certificatePem }: IdentityRenewal, rest: string): Promise<void> {
    await removeRenewal(this.own.paths);
    this.pending = null;
    this.reason = null;
    const validTo = new X509Certificate(certificatePem).validToDate.toISOString();
    this.own.tell('info', `The certificate of ${this.own.name} was renewed and is valid until ${validTo}.${rest}`);
  }
}

/** Knocks until nothing speaks against it, or the services should have followed; null: nothing does. */
async function untilOpen(knock: () => Promise<string | null>): Promise<string | null> {
  for (const untilMs = performance.now() + FOLLOWED_WITHIN_MS; ; await delay(KNOCK_AGAIN_MS)) {
    const objection = await knock();
    if (objection === null || performance.now() > untilMs) return objection;
  }
}

function refused(reason: string): PeerAnswer {
  return { accepted: false, reason };
}

/** Why that is no certificate that the peer could use, null when it is one. PostgreSQL knows the peer by the name in it. */
function problemOf(certificatePem: string, { name }: PeerIdentity): string | null {
  let certificate: X509Certificate;
  try {
    certificate = new X509Certificate(certificatePem);
  } catch {
    return 'what was offered is no certificate';
  }
  if (!certificate.subject.split('\n').includes(`CN=understudy-${name}`))
    return `the certificate that was offered is not for ${name}`;
  return isExpired(certificatePem) ? 'the certificate that was offered has expired' : null;
}

function isExpired(certificatePem: string): boolean {
  return new X509Certificate(certificatePem).validToDate.getTime() < Date.now();
}
