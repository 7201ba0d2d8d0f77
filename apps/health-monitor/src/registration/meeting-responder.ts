import { type ReadinessHello, ReadinessHelloSchema, type RegistrationChallenge } from '@understudy/contracts';
import type { Clock } from '@understudy/platform';
import type { AttemptLimiter } from './attempt-limiter.ts';
import type { Bearers } from './bearers.ts';
import { challengeOf, type OpenHandshake } from './challenge.ts';
import { identityConflict } from './compatibility.ts';
import { OpenHandshakes } from './open-handshakes.ts';
import { equalInConstantTime, fingerprintOrNull, MEETING, proofOf } from './registration-proof.ts';
import { accept, type Refusable, refuse, tooMany, wrongKeyOf } from './registration-refusal.ts';
import type { OwnRegistrationFacts, RegistrationResponderPort } from './registration-responder.ts';

/**
 * The secondary's side of readiness checks before registration: hello -> challenge, prove -> proof, as in a registration, but by proofs
 * that are none of a registration, and nothing is pinned, kept or refused because of what the two servers are. Never rejects.
 */
export class MeetingResponder {
  private readonly open: OpenHandshakes<OpenHandshake<ReadinessHello>>;

  constructor(
    private readonly port: Pick<RegistrationResponderPort, 'self' | 'key'>,
    private readonly bearers: Bearers,
    private readonly clock: Clock,
    /** That of registration: a key is not guessed faster by asking at two doors. */
    private readonly limiter: AttemptLimiter,
  ) {
    this.open = new OpenHandshakes(clock);
  }

  /** The first step; `input` as it came, unchecked. */
  async hello(input: unknown): Promise<Refusable<RegistrationChallenge>> {
    const parsed = ReadinessHelloSchema.safeParse(input);
    if (!parsed.success) return refuse('invalid-input', `the hello is malformed: ${parsed.error.issues[0]?.message}`);
    const hello = parsed.data;
    const self: OwnRegistrationFacts = this.port.self();
    const primaryFingerprint = fingerprintOrNull(hello.certificatePem);
    const secondaryFingerprint = fingerprintOrNull(self.certificatePem);
    if (!primaryFingerprint) return refuse('invalid-input', 'the hello carries no readable certificate');
    if (!secondaryFingerprint) return refuse('failed', 'this server has no readable certificate');
    const waitMs = this.limiter.waitMs(null, this.clock.nowMs());
    if (waitMs > 0) return tooMany(waitMs);
    const conflict = identityConflict(
      { ...self, fingerprint: secondaryFingerprint },
      { ...hello, fingerprint: primaryFingerprint },
    );
    if (conflict) return refuse(conflict.code, conflict.message);
    return challengeOf(this.port, this.open, { self, hello, primaryFingerprint, secondaryFingerprint });
  }

  /** The second step: whoever proves the key may have this server measured for a minute. */
  async prove({ nonce, proof }: { nonce: string; proof: string }): Promise<Refusable<{ proof: string }>> {
    const handshake = this.open.take(nonce);
    const atMs = this.clock.nowMs();
    if (!handshake) return refuse('expired', 'this meeting is unknown or has taken longer than 30 s: check again');
    const waitMs = this.limiter.waitMs(null, atMs);
    if (waitMs > 0) return tooMany(waitMs);
    const { transcript, key } = handshake;
    const { hello, challenge, primaryFingerprint: fingerprint } = transcript;
    if (!equalInConstantTime(proofOf('primary', key.verifier, transcript, MEETING), proof)) {
      this.limiter.wrong(null, atMs);
      return wrongKeyOf(challenge.name);
    }
    const { name, role, address, ports, certificatePem } = hello;
    const ticket = proofOf('ticket', key.verifier, transcript, MEETING);
    this.bearers.admit(ticket, { name, role, address, ports, certificatePem, fingerprint });
    return accept({ proof: proofOf('secondary', key.verifier, transcript, MEETING) });
  }
}
