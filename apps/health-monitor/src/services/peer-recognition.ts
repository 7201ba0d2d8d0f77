import { randomBytes, X509Certificate } from 'node:crypto';
import { isTrusted, type PeerIdentity, type RecognitionQuestion } from '@understudy/contracts';
import { type Clock, fingerprintOf, type Logger } from '@understudy/platform';
import { z } from 'zod';
import type { ShownCertificate } from '../ports/shown-certificate.port.ts';
import {
  AttemptLimiter,
  type AuthenticationKeyStore,
  accept,
  equalInConstantTime,
  type Refusable,
  type RegistrationTransport,
  recognitionProofOf,
  refuse,
  tooMany,
} from '../registration/index.ts';
import { type CertificateTrust, hostOf } from './certificate-trust.ts';

const PATH = '/api/v1/pair/recognise';
const LOOK_MS = 5000;
/** A peer that has forgotten this server's certificate asks at every look. */
const ASKS_WITHIN_MS = 3 * LOOK_MS;
const AnswerSchema = z.object({ proof: z.string() });

/** What recognising needs of this server. */
export interface RecognitionSurroundings {
  readonly name: string;
  /** PEM of this server's certificate, as of now. */
  ownCertificate(): Promise<string>;
  peer(): PeerIdentity | null;
  isPeerReachable(): boolean;
  /** See `Pairing.repin`. */
  repin(change: (peer: PeerIdentity) => PeerIdentity | null): Promise<boolean>;
  tell(severity: 'info' | 'warning', message: string): void;
}

/**
 * Trust on first use, by proof: a peer whose certificate is forgotten is asked at its address to prove the authentication key, bound to
 * both certificates; the certificate of the one who can is pinned. One that shows a certificate that is not trusted is told of.
 */
export class PeerRecognition {
  private timer: NodeJS.Timeout | undefined;
  private looking: Promise<void> | null = null;
  private told = '';
  private askedAtMs: number | null = null;

  constructor(
    private readonly own: RecognitionSurroundings,
    private readonly trust: Pick<CertificateTrust, 'objection'>,
    private readonly keys: Pick<AuthenticationKeyStore, 'read'>,
    private readonly shown: ShownCertificate,
    private readonly transport: RegistrationTransport,
    private readonly limiter: AttemptLimiter,
    private readonly clock: Clock,
    private readonly logger: Logger,
  ) {}

  start(): void {
    this.timer = setInterval(() => void this.look(), LOOK_MS).unref();
  }

  async stop(): Promise<void> {
    clearInterval(this.timer);
    await this.looking;
  }

  /** Looks at who answers in the place of a peer that is not connected; asked while a look is under way, it waits for that. Never rejects. */
  look(): Promise<void> {
    this.looking ??= this.lookNow()
      .catch((error: unknown) => this.logger.error('The certificate of the peer could not be looked at', { error }))
      .finally(() => {
        this.looking = null;
      });
    return this.looking;
  }

  /** The peer has forgotten this server's certificate, and waits for another one: whoever answers here is a sign of life to it. */
  get isForgottenByPeer(): boolean {
    return this.askedAtMs !== null && this.clock.nowMs() - this.askedAtMs < ASKS_WITHIN_MS;
  }

  /** The peer's question, under whatever certificate: who proves the key gets the same proof of this server. Changes nothing. */
  async asked(question: RecognitionQuestion): Promise<Refusable<{ proof: string }>> {
    const { own, limiter, clock } = this;
    const { pairId, nonce, certificatePem, proof } = question;
    if (own.peer()?.pairId !== pairId) return refuse('expired', `${own.name} is not of that pair`);
    const waitMs = limiter.waitMs(null, clock.nowMs());
    if (waitMs > 0) return tooMany(waitMs);
    try {
      const key = await this.keys.read();
      if (!key) return refuse('no-key', `${own.name} has no authentication key`);
      const recognition = {
        pairId,
        nonce,
        askerFingerprint: fingerprintOf(certificatePem),
        answererFingerprint: fingerprintOf(await own.ownCertificate()),
      };
      if (!equalInConstantTime(recognitionProofOf('asker', key, recognition), proof)) {
        limiter.wrong(null, clock.nowMs());
        return refuse('wrong-key', `${own.name} has another authentication key`);
      }
      this.askedAtMs = clock.nowMs();
      return accept({ proof: recognitionProofOf('answerer', key, recognition) });
    } catch (error) {
      return refuse('failed', error instanceof Error ? error.message : String(error));
    }
  }

  private async lookNow(): Promise<void> {
    const { own } = this;
    const peer = own.peer();
    if (peer === null || (own.isPeerReachable() && !peer.isForgotten)) {
      this.told = '';
      return;
    }
    const target = { address: peer.address, port: peer.ports.healthMonitor };
    const certificatePem = await this.shown(target);
    if (certificatePem === null) return;
    const fingerprint = fingerprintOf(certificatePem);
    const where = `What answers at ${target.address}:${target.port}`;
    if (!peer.isForgotten) {
      if (isTrusted(peer, fingerprint)) return;
      this.tellOnce(
        `${where} shows the certificate ${fingerprint}, not the pinned one of ${peer.name}, ${peer.fingerprint}: it is not taken for ${peer.name}. If ${peer.name} has got a new certificate, "understudy cert forget ${hostOf(peer)}" has it prove itself anew.`,
      );
      return;
    }
    const objection =
      (await this.proveTo(target, peer, fingerprint)) ??
      this.trust.objection(fingerprint) ??
      this.expired(certificatePem, peer);
    if (objection !== null) {
      this.tellOnce(`${where} is not taken for ${peer.name}: ${objection}.`);
      return;
    }
    const isPinned = await own.repin(({ isForgotten, next: _, ...present }) =>
      isForgotten && present.pairId === peer.pairId ? { ...present, certificatePem, fingerprint } : null,
    );
    if (isPinned)
      own.tell('info', `${peer.name} has proven the authentication key: its certificate ${fingerprint} is pinned.`);
  }

  /** Why whoever shows that certificate is not the peer; null: it has proven the key under it. */
  private async proveTo(
    target: { address: string; port: number },
    { pairId, name }: PeerIdentity,
    answererFingerprint: string,
  ): Promise<string | null> {
    const key = await this.keys.read();
    if (!key) return `${this.own.name} has no authentication key`;
    const certificatePem = await this.own.ownCertificate();
    // by a wrong entry in a hosts file, or an address that was moved: its proof would be right
    if (fingerprintOf(certificatePem) === answererFingerprint) return `it is ${this.own.name} itself`;
    const nonce = randomBytes(24).toString('base64url');
    const recognition = { pairId, nonce, askerFingerprint: fingerprintOf(certificatePem), answererFingerprint };
    const proof = recognitionProofOf('asker', key, recognition);
    const answer = await this.transport.post(target, PATH, { pairId, nonce, certificatePem, proof });
    if (!answer.ok) return answer.refusal.message;
    const parsed = AnswerSchema.safeParse(answer.value.body);
    const expected = recognitionProofOf('answerer', key, recognition);
    const isProven = parsed.success && equalInConstantTime(parsed.data.proof, expected);
    return isProven && answer.value.fingerprint === answererFingerprint
      ? null
      : `it could not prove that it has the authentication key of ${name}`;
  }

  /** Nobody else would take it: it is not worth to be pinned. */
  private expired(certificatePem: string, { name }: PeerIdentity): string | null {
    const isOver = new X509Certificate(certificatePem).validToDate.getTime() < this.clock.unixMs();
    return isOver ? `its certificate has expired: "understudy cert renew" on ${name}` : null;
  }

  private tellOnce(message: string): void {
    if (message === this.told) return;
    this.told = message;
    this.own.tell('warning', message);
  }
}
