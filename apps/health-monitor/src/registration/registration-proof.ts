import { createHash, createHmac, timingSafeEqual, X509Certificate } from 'node:crypto';
import type { RegistrationChallenge, RegistrationHello } from '@understudy/contracts';

/**
 * The proofs of registration: HMACs, by the stretched authentication key, over all that both sides have said and over both
 * certificates as each side knows them itself. Whoever stands between changes a certificate, hence the transcript, hence the proof.
 */
const REGISTRATION = 'understudy-registration-v1';
/** A proof for measuring must never be one for registering. */
export const MEETING = 'understudy-readiness-v1';

/** What both sides must agree on. Fingerprints are SHA-256, lower-case hexadecimal. */
export interface Transcript<Hello = RegistrationHello> {
  readonly hello: Hello;
  readonly challenge: RegistrationChallenge;
  readonly primaryFingerprint: string;
  readonly secondaryFingerprint: string;
}

/** Who proves; `ticket`: what both sides make, and one shows to the other afterwards. */
export type Prover = 'primary' | 'secondary' | 'ticket';

/** The proof of one side, base64url. */
export function proofOf(
  prover: Prover,
  key: Uint8Array,
  transcript: Transcript<object>,
  purpose: typeof REGISTRATION | typeof MEETING = REGISTRATION,
): string {
  const digest = createHash('sha256').update(canonicalJson(transcript)).digest('hex');
  return createHmac('sha256', key).update(`${purpose}|${prover}|${digest}`).digest('base64url');
}

/** Proof that the registration of that pair is abandoned by one who took part in it, base64url. */
export function abandonProofOf(key: Uint8Array, pairId: string): string {
  return createHmac('sha256', key).update(`abandon|${pairId}`).digest('base64url');
}

/** Whether two texts are the same, in a time that does not depend on where they differ. */
export function equalInConstantTime(left: string, right: string): boolean {
  const [a, b] = [left, right].map((text) => createHash('sha256').update(text).digest()) as [Buffer, Buffer];
  return timingSafeEqual(a, b);
}

/** SHA-256 of a certificate in PEM, lower-case hexadecimal; null when it is none. */
export function fingerprintOrNull(certificatePem: string): string | null {
  try {
    return createHash('sha256').update(new X509Certificate(certificatePem).raw).digest('hex');
  } catch {
    return null;
  }
}

/** JSON with the keys of every object in order, so that both sides write the same text. */
export function canonicalJson(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(',')}]`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value) ?? 'null';
  const entries = Object.entries(value)
    .filter(([, entry]) => entry !== undefined)
    .sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));
  return `{${entries.map(([key, entry]) => `${JSON.stringify(key)}:${canonicalJson(entry)}`).join(',')}}`;
}
