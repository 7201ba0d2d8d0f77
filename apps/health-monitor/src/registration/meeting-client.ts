import { randomBytes } from 'node:crypto';
import {
  type Candidate,
  type ReadinessHello,
  ReadinessHelloSchema,
  RegistrationChallengeSchema,
} from '@understudy/contracts';
import type { Bearers } from './bearers.ts';
import { identityConflict } from './compatibility.ts';
import { impostor, type RegistrationTarget, type RegistrationTransport } from './registration-client.ts';
import { equalInConstantTime, fingerprintOrNull, MEETING, proofOf, type Transcript } from './registration-proof.ts';
import { accept, type Refusable, refuse } from './registration-refusal.ts';
import { stretchKey } from './stretched-key.ts';

const HELLO_PATH = '/api/v1/pair/readiness/hello';
const PROVE_PATH = '/api/v1/pair/readiness/prove';

/** The would-be primary's side of readiness checks before registration. Nothing is changed on either server. */
export class MeetingClient {
  constructor(
    private readonly transport: RegistrationTransport,
    private readonly bearers: Bearers,
  ) {}

  /** Proves the key to the secondary and has it prove the same; from then on each may have the other measured, for a minute. Never rejects. */
  async meet(
    input: RegistrationTarget & {
      readonly authenticationKey: string;
      readonly self: Omit<ReadinessHello, 'protocol' | 'nonce'>;
    },
  ): Promise<Refusable<{ candidate: Candidate; ticket: string }>> {
    const target = { address: input.address, port: input.port };
    const where = `${target.address}:${target.port}`;
    // Parsed, so that the transcript holds exactly what the other side gets to see.
    const nonce = randomBytes(24).toString('base64url');
    const hello = ReadinessHelloSchema.parse({ ...input.self, protocol: 1, nonce });
    const primaryFingerprint = fingerprintOrNull(hello.certificatePem);
    if (!primaryFingerprint) return refuse('failed', 'this server has no readable certificate');

    const first = await this.transport.post(target, HELLO_PATH, hello);
    if (!first.ok) return first;
    const parsed = RegistrationChallengeSchema.safeParse(first.value.body);
    if (!parsed.success)
      return refuse('not-an-understudy', `${where} does not answer as a server of this product does`);
    const challenge = parsed.data;
    const secondaryFingerprint = first.value.fingerprint;
    const refusal =
      impostor(challenge, secondaryFingerprint, target) ??
      identityConflict(
        { ...hello, fingerprint: primaryFingerprint },
        { ...challenge, fingerprint: secondaryFingerprint },
      );
    if (refusal) return { ok: false, refusal };

    const transcript: Transcript<ReadinessHello> = { hello, challenge, primaryFingerprint, secondaryFingerprint };
    const verifier = await stretchKey(input.authenticationKey, Buffer.from(challenge.salt, 'base64url'));
    const proof = proofOf('primary', verifier, transcript, MEETING);
    const second = await this.transport.post(target, PROVE_PATH, { nonce: challenge.nonce, proof });
    if (!second.ok) return second;
    const theirs = (second.value.body as { proof?: unknown } | null)?.proof;
    const expected = proofOf('secondary', verifier, transcript, MEETING);
    const isProven = typeof theirs === 'string' && equalInConstantTime(theirs, expected);
    if (!isProven || second.value.fingerprint !== secondaryFingerprint)
      return refuse('wrong-key', `${challenge.name} could not prove that it knows the authentication key`);
    const { name, role, ports, certificatePem } = challenge;
    const ticket = proofOf('ticket', verifier, transcript, MEETING);
    // reached where the operator said, whatever it calls itself
    const candidate = { name, role, address: input.address, ports, certificatePem, fingerprint: secondaryFingerprint };
    this.bearers.admit(ticket, candidate);
    return accept({ candidate, ticket });
  }
}
