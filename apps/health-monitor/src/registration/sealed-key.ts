import { createCipheriv, createDecipheriv, createHmac, randomBytes } from 'node:crypto';
import type { AuthenticationKeyOffer } from '@understudy/contracts';
import { equalInConstantTime } from './registration-proof.ts';
import type { StretchedKey } from './stretched-key.ts';

const SALT_BYTES = 16;
const TAG_BYTES = 16;

/** The new key of a pair for the other server, readable by whoever has the present one, and nobody else. */
export function sealKey(present: StretchedKey, next: StretchedKey, pairId: string): AuthenticationKeyOffer {
  const nonce = randomBytes(12);
  const cipher = createCipheriv('aes-256-gcm', sealingKey(present, pairId), nonce);
  const sealed = Buffer.concat([cipher.update(Buffer.concat([next.salt, next.verifier])), cipher.final()]);
  const offer = {
    pairId,
    nonce: nonce.toString('base64url'),
    sealed: Buffer.concat([sealed, cipher.getAuthTag()]).toString('base64url'),
  };
  return { ...offer, mark: proofOfKey('offered', next, offer) };
}

/** The key in an offer; null when it was sealed by another key than the present one, or was changed on its way. */
export function unsealKey(present: StretchedKey, offer: AuthenticationKeyOffer): StretchedKey | null {
  try {
    const sealed = Buffer.from(offer.sealed, 'base64url');
    const nonce = Buffer.from(offer.nonce, 'base64url');
    const cipher = createDecipheriv('aes-256-gcm', sealingKey(present, offer.pairId), nonce, {
      authTagLength: TAG_BYTES,
    }).setAuthTag(sealed.subarray(-TAG_BYTES));
    const text = Buffer.concat([cipher.update(sealed.subarray(0, -TAG_BYTES)), cipher.final()]);
    const key = { salt: text.subarray(0, SALT_BYTES), verifier: text.subarray(SALT_BYTES) };
    return isOfferOf(key, offer) ? key : null;
  } catch {
    return null;
  }
}

/** Whether that key is the one that was offered. */
export function isOfferOf(key: StretchedKey, offer: AuthenticationKeyOffer): boolean {
  return equalInConstantTime(proofOfKey('offered', key, offer), offer.mark);
}

/** Proves that its maker has the key of that offer. */
export function proofOfKey(
  purpose: 'offered' | 'adopted',
  key: StretchedKey,
  { pairId, nonce }: Pick<AuthenticationKeyOffer, 'pairId' | 'nonce'>,
): string {
  return createHmac('sha256', key.verifier)
    .update(`authentication-key|${purpose}|${pairId}|${nonce}`)
    .digest('base64url');
}

function sealingKey(present: StretchedKey, pairId: string): Buffer {
  return createHmac('sha256', present.verifier).update(`seal|${pairId}`).digest();
}
