import { createHmac } from 'node:crypto';
import type { StretchedKey } from './stretched-key.ts';

/** What both sides of a recognition agree on. Fingerprints: SHA-256, lower-case hexadecimal, as each side sees them itself. */
export interface Recognition {
  readonly pairId: string;
  /** Of the one who asks; used once. */
  readonly nonce: string;
  readonly askerFingerprint: string;
  readonly answererFingerprint: string;
}

/**
 * Proof that its maker has the authentication key of the pair, bound to both certificates: whoever stands between shows another one,
 * and has no proof. base64url.
 */
export function recognitionProofOf(
  side: 'asker' | 'answerer',
  { verifier }: StretchedKey,
  { pairId, nonce, askerFingerprint, answererFingerprint }: Recognition,
): string {
  const said = JSON.stringify([pairId, nonce, askerFingerprint, answererFingerprint]);
  return createHmac('sha256', verifier).update(`understudy-recognition-v1|${side}|${said}`).digest('base64url');
}
