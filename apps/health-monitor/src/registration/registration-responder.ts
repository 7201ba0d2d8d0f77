import {
  type PeerIdentity,
  type RegistrationChallenge,
  type RegistrationHello,
  RegistrationHelloSchema,
} from '@understudy/contracts';
import type { Clock } from '@understudy/platform';
import { AttemptLimiter } from './attempt-limiter.ts';
import { challengeOf, type OpenHandshake } from './challenge.ts';
import { incompatibility } from './compatibility.ts';
import { OpenHandshakes } from './open-handshakes.ts';
import {
  abandonProofOf,
  equalInConstantTime,
  fingerprintOrNull,
  proofOf,
  type Transcript,
} from './registration-proof.ts';
import { accept, type Refusable, refuse, tooMany, wrongKeyOf } from './registration-refusal.ts';
import type { StretchedKey } from './stretched-key.ts';

/** What this server says of itself in a registration. */
export type OwnRegistrationFacts = Omit<RegistrationChallenge, 'protocol' | 'nonce' | 'salt'>;

/** What the responder needs of its server. */
export interface RegistrationResponderPort {
  /** This server, as of now. */
  self(): OwnRegistrationFacts;
  /** The verifier of the authentication key; null when none is set. May throw: then nothing can be registered. */
  key(): Promise<StretchedKey | null>;
  /** Why this server cannot be paired with that one now (e.g. "beta is paired with alpha"); null when it can, or is by this very hello. */
  alreadyPaired(hello: RegistrationHello): string | null;
  /** Why that server cannot take the place of this one's primary now; null when it can, has by this very hello, or does not want to. */
  notReplaceable(hello: RegistrationHello): string | null;
  /** Why that certificate may not be pinned here; null when it may, or is pinned. */
  untrusted(fingerprint: string): string | null;
  /** Why this server could not hold the virtual IP of the pair; null when it can, or when there is none. */
  noVirtualIp(hello: RegistrationHello): string | null;
  /** Why this server cannot be registered at this moment, though in a moment it can; null when it can. */
  notReady(hello: RegistrationHello): string | null;
  /** The primary has proven the key: pin it, durably. What it throws refuses the registration; then nothing may have changed. May repeat. */
  accepted(registration: AcceptedRegistration): Promise<void>;
  /** Forget that pair, if it is the one in force and its registration may still be abandoned. False when not. */
  abandoned(pairId: string): Promise<boolean>;
}

/** A registration of which both sides have proven the key. */
export interface AcceptedRegistration {
  readonly peer: PeerIdentity;
  readonly hello: RegistrationHello;
}

/**
 * The secondary's side of registration: hello -> challenge, prove -> proof. Before the proof nothing is changed. A handshake can
 * be used once, for 30 s; at most 16 are open, the oldest gives way. Never rejects: whatever goes wrong is a refusal.
 */
export class RegistrationResponder {
  private readonly open: OpenHandshakes<OpenHandshake<RegistrationHello>>;
  private accepting = false;

  constructor(
    private readonly port: RegistrationResponderPort,
    private readonly clock: Clock,
    private readonly limiter = new AttemptLimiter(),
  ) {
    this.open = new OpenHandshakes(clock);
  }

  /**
   * The first step. @param input as it came, unchecked.
   * @param source who asks, if the caller knows: each has its own delay after wrong keys; null: only the total delay counts
   */
  async hello(input: unknown, source: string | null = null): Promise<Refusable<RegistrationChallenge>> {
    const parsed = RegistrationHelloSchema.safeParse(input);
    if (!parsed.success) return refuse('invalid-input', `the hello is malformed: ${parsed.error.issues[0]?.message}`);
    const hello = parsed.data;
    const primaryFingerprint = fingerprintOrNull(hello.certificatePem);
    const self = this.port.self();
    const secondaryFingerprint = fingerprintOrNull(self.certificatePem);
    if (!primaryFingerprint) return refuse('invalid-input', 'the hello carries no readable certificate');
    if (!secondaryFingerprint) return refuse('failed', 'this server has no readable certificate');

    const reason = this.objection(hello, primaryFingerprint, source);
    if (reason) return reason;
    return challengeOf(this.port, this.open, { self, hello, primaryFingerprint, secondaryFingerprint });
  }

  /** The second step: the primary's proof against ours. @param nonce the challenge's */
  async prove(
    input: { nonce: string; proof: string },
    source: string | null = null,
  ): Promise<Refusable<{ proof: string }>> {
    const handshake = this.open.take(input.nonce);
    const atMs = this.clock.nowMs();
    if (!handshake) {
      return refuse('expired', 'this registration is unknown or has taken longer than 30 s: register again');
    }
    const { transcript, key } = handshake;
    const reason = this.objection(transcript.hello, transcript.primaryFingerprint, source);
    if (reason) return reason;
    if (!equalInConstantTime(proofOf('primary', key.verifier, transcript), input.proof)) {
      this.limiter.wrong(source, atMs);
      return wrongKeyOf(transcript.challenge.name);
    }
    this.limiter.right(source);
    if (this.accepting) return refuse('already-paired', 'another registration is being completed at this moment');
    this.accepting = true;
    try {
      await this.port.accepted({ peer: peerOf(transcript), hello: transcript.hello });
    } catch (error) {
      return refuse('failed', error instanceof Error ? error.message : String(error));
    } finally {
      this.accepting = false;
    }
    this.open.clear();
    return accept({ proof: proofOf('secondary', key.verifier, transcript) });
  }

  /** The primary abandons the registration of that pair. A wrong proof counts as a wrong key. */
  async abandon(
    input: { pairId: string; proof: string },
    source: string | null = null,
  ): Promise<Refusable<Record<string, never>>> {
    const waitMs = this.limiter.waitMs(source, this.clock.nowMs());
    if (waitMs > 0) return tooMany(waitMs);
    try {
      const key = await this.port.key();
      if (!key) return refuse('no-key', 'this server has no authentication key');
      if (!equalInConstantTime(abandonProofOf(key.verifier, input.pairId), input.proof)) {
        this.limiter.wrong(source, this.clock.nowMs());
        return refuse('wrong-key', 'the authentication key is not the one of this server');
      }
      if (!(await this.port.abandoned(input.pairId)))
        return refuse('expired', 'that registration is not under way here');
      return accept({});
    } catch (error) {
      return refuse('failed', error instanceof Error ? error.message : String(error));
    }
  }

  /** Why this registration cannot go on, asked at both steps because things change between them. */
  private objection(hello: RegistrationHello, fingerprint: string, source: string | null) {
    const waitMs = this.limiter.waitMs(source, this.clock.nowMs());
    if (waitMs > 0) return tooMany(waitMs);
    const self = this.port.self();
    const reason = incompatibility(
      { ...self, fingerprint: fingerprintOrNull(self.certificatePem) ?? '' },
      { ...hello, fingerprint },
    );
    if (reason) return refuse(reason.code, reason.message);
    const paired = this.port.alreadyPaired(hello);
    if (paired) return refuse('already-paired', paired);
    const notReplaceable = this.port.notReplaceable(hello);
    if (notReplaceable) return refuse('not-replaceable', notReplaceable);
    const untrusted = this.port.untrusted(fingerprint);
    if (untrusted) return refuse('untrusted-certificate', `${self.name}: ${untrusted}`);
    const noVirtualIp = this.port.noVirtualIp(hello);
    if (noVirtualIp) return refuse('virtual-ip', noVirtualIp);
    const notReady = this.port.notReady(hello);
    return notReady ? refuse('not-ready', notReady) : null;
  }
}

function peerOf({ hello, primaryFingerprint }: Transcript): PeerIdentity {
  return {
    name: hello.name,
    role: hello.role,
    address: hello.address,
    certificatePem: hello.certificatePem,
    fingerprint: primaryFingerprint,
    ports: hello.ports,
    pairId: hello.pairId,
  };
}
