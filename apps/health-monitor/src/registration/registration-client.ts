import { randomBytes } from 'node:crypto';
import {
  type PeerIdentity,
  type RegistrationChallenge,
  RegistrationChallengeSchema,
  type RegistrationHello,
  RegistrationHelloSchema,
} from '@understudy/contracts';
import { incompatibility } from './compatibility.ts';
import {
  abandonProofOf,
  equalInConstantTime,
  fingerprintOrNull,
  proofOf,
  type Transcript,
} from './registration-proof.ts';
import { accept, type Refusable, type RegistrationRefusal, refuse } from './registration-refusal.ts';
import { type StretchedKey, stretchKey } from './stretched-key.ts';

/** One JSON request over TLS to a server whose certificate is not known yet. */
export interface RegistrationTransport {
  /** Never rejects; a refusal names address and port. `fingerprint`: SHA-256 of the certificate that was on the socket. */
  post(
    target: RegistrationTarget,
    path: string,
    body: unknown,
  ): Promise<Refusable<{ readonly body: unknown; readonly fingerprint: string }>>;
}

/** Where the secondary's gateway listens. */
export interface RegistrationTarget {
  readonly address: string;
  readonly port: number;
}

/** What the primary says first; the client adds protocol and nonce. */
export type OwnHello = Omit<RegistrationHello, 'protocol' | 'nonce'>;

/** Both sides have proven the key. */
export interface Registered {
  /** To be pinned by this server. */
  readonly peer: PeerIdentity;
  /** To be kept as this server's authentication key. */
  readonly key: StretchedKey;
  readonly challenge: RegistrationChallenge;
}

const HELLO_PATH = '/api/v1/pair/hello';
const PROVE_PATH = '/api/v1/pair/prove';
const ABANDON_PATH = '/api/v1/pair/abandon';

/**
 * The primary's side of registration. Nothing on this server is changed by it. When it fails after the secondary may have accepted,
 * the secondary is told to forget the pair again.
 */
export class RegistrationClient {
  constructor(
    private readonly transport: RegistrationTransport,
    /** Why that certificate may not be pinned here, null when it may. */
    private readonly untrusted: (fingerprint: string) => string | null = () => null,
  ) {}

  /** Proves the key to the secondary and has it prove the same. Never rejects. */
  async register(
    input: RegistrationTarget & { readonly authenticationKey: string; readonly hello: OwnHello },
  ): Promise<Refusable<Registered>> {
    const { address, port } = input;
    // Parsed, so that the transcript holds exactly what the other side gets to see.
    const nonce = randomBytes(24).toString('base64url');
    const parsedHello = RegistrationHelloSchema.safeParse({ ...input.hello, protocol: 1, nonce });
    if (!parsedHello.success)
      return refuse('invalid-input', `this server's own facts: ${parsedHello.error.issues[0]?.message}`);
    const hello = parsedHello.data;
    const primaryFingerprint = fingerprintOrNull(hello.certificatePem);
    if (!primaryFingerprint) return refuse('failed', 'this server has no readable certificate');

    const first = await this.transport.post(input, HELLO_PATH, hello);
    if (!first.ok) return first;
    const parsed = RegistrationChallengeSchema.safeParse(first.value.body);
    if (!parsed.success)
      return refuse('not-an-understudy', `${address}:${port} does not answer as a server of this product does`);
    const challenge = parsed.data;
    const secondaryFingerprint = first.value.fingerprint;
    const objection = objectionTo(
      challenge,
      secondaryFingerprint,
      { ...hello, fingerprint: primaryFingerprint },
      input,
    );
    if (objection) return { ok: false, refusal: objection };
    const untrusted = this.untrusted(secondaryFingerprint);
    if (untrusted !== null) return refuse('untrusted-certificate', untrusted);

    const transcript: Transcript = { hello, challenge, primaryFingerprint, secondaryFingerprint };
    const salt = Buffer.from(challenge.salt, 'base64url');
    const verifier = await stretchKey(input.authenticationKey, salt);
    const second = await this.prove(input, transcript, verifier);
    if (second.ok) {
      return accept({ peer: peerOf(transcript), key: { salt, verifier }, challenge });
    }
    // It refused: nothing has changed there. Anything else may mean that it accepted and we do not know.
    if (second.certain) return { ok: false, refusal: second.refusal };
    const undone = await this.abandon({ ...input, fingerprint: secondaryFingerprint, pairId: hello.pairId, verifier });
    const rest = undone
      ? ''
      : `; ${challenge.name} could not be told and may believe that it is paired: register again`;
    return refuse(second.refusal.code, second.refusal.message + rest);
  }

  /** Tells the secondary to forget a pair whose registration has failed later on. True when it has confirmed. */
  async abandon(
    input: RegistrationTarget & {
      readonly fingerprint: string;
      readonly pairId: string;
      readonly verifier: Uint8Array;
    },
  ): Promise<boolean> {
    const { address, port, pairId } = input;
    const body = { pairId, proof: abandonProofOf(input.verifier, pairId) };
    const reply = await this.transport.post({ address, port }, ABANDON_PATH, body);
    if (!reply.ok) return reply.refusal.code === 'expired';
    return equalInConstantTime(reply.value.fingerprint, input.fingerprint);
  }

  private async prove(
    target: RegistrationTarget,
    transcript: Transcript,
    verifier: Uint8Array,
  ): Promise<{ ok: true } | { ok: false; certain: boolean; refusal: RegistrationRefusal }> {
    const { name, nonce } = transcript.challenge;
    const proof = proofOf('primary', verifier, transcript);
    const reply = await this.transport.post(target, PROVE_PATH, { nonce, proof });
    if (!reply.ok) return { ok: false, certain: SAID_BY_SECONDARY.has(reply.refusal.code), refusal: reply.refusal };
    if (!equalInConstantTime(reply.value.fingerprint, transcript.secondaryFingerprint)) {
      return {
        certain: false,
        ...refuse('wrong-certificate', `${target.address}:${target.port} changed its certificate during registration`),
      };
    }
    const theirs = (reply.value.body as { proof?: unknown } | null)?.proof;
    const expected = proofOf('secondary', verifier, transcript);
    if (typeof theirs !== 'string' || !equalInConstantTime(theirs, expected)) {
      return { certain: false, ...refuse('wrong-key', `${name} could not prove that it knows the authentication key`) };
    }
    return { ok: true };
  }
}

const SAID_BY_SECONDARY: ReadonlySet<string> = new Set([
  'wrong-role',
  'wrong-version',
  'already-paired',
  'not-replaceable',
  'wrong-key',
  'too-many-attempts',
  'same-name',
  'expired',
  'virtual-ip',
  'untrusted-certificate',
  'no-key',
  'invalid-input',
]);

function objectionTo(
  challenge: RegistrationChallenge,
  seenFingerprint: string,
  self: RegistrationHello & { fingerprint: string },
  target: RegistrationTarget,
): RegistrationRefusal | null {
  return (
    impostor(challenge, seenFingerprint, target) ??
    incompatibility(self, { ...challenge, fingerprint: seenFingerprint })
  );
}

/** What is wrong when a server shows another certificate than it says is its own; null: nothing. */
export function impostor(
  { certificatePem, name }: Pick<RegistrationChallenge, 'certificatePem' | 'name'>,
  seenFingerprint: string,
  { address, port }: RegistrationTarget,
): RegistrationRefusal | null {
  const claimed = fingerprintOrNull(certificatePem);
  if (claimed && equalInConstantTime(claimed, seenFingerprint)) return null;
  return refuse(
    'wrong-certificate',
    `${address}:${port} shows another certificate than ${name} has: somebody may stand between the servers`,
  ).refusal;
}

function peerOf({ hello, challenge, secondaryFingerprint }: Transcript): PeerIdentity {
  return {
    name: challenge.name,
    role: challenge.role,
    address: challenge.address,
    certificatePem: challenge.certificatePem,
    fingerprint: secondaryFingerprint,
    ports: challenge.ports,
    pairId: hello.pairId,
  };
}
