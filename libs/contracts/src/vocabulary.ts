export { formatLsn, lsnDistance, parseLsn } from '@understudy/ha-core';

import { HA_STATES, type HaState } from '@understudy/ha-core';
import { z } from 'zod';

/** A server's home role. */
export const ServerRoleSchema = z.enum(['primary', 'secondary']);

/** Name of an HA state. */
export const HaStateSchema = z.enum(HA_STATES as [HaState, ...HaState[]]);

/** `manual` waits for the operator, `automatic` takes over by itself, `observe` waits and says what it would have done. */
export const FailoverTypeSchema = z.enum(['manual', 'automatic', 'observe']);

/** An LSN as text, `X/Y` in hexadecimal. In code it is a bigint byte position. */
export const LsnSchema = z.string().regex(/^[0-9A-F]{1,8}\/[0-9A-F]{1,8}$/);

/** Fencing token: grows by at least one at each promotion. */
export const EpochSchema = z.int().nonnegative();

const FingerprintSchema = z.string().regex(/^[0-9a-f]{64}$/);

/** Addresses and names by which the peer is reached, exchanged and pinned at registration. */
export const PeerIdentitySchema = z.object({
  name: z.string(),
  role: ServerRoleSchema,
  address: z.string(),
  certificatePem: z.string(),
  fingerprint: FingerprintSchema,
  ports: z.object({ healthMonitor: z.int(), fileSync: z.int(), pairLink: z.int(), database: z.int() }),
  pairId: z.string(),
  /** The certificate that the peer is about to change to, in its own words under the present one: both are trusted until then. */
  next: z.object({ certificatePem: z.string(), fingerprint: FingerprintSchema }).optional(),
  /** An operator has forgotten the certificate: none is trusted until the peer has proven itself under a new one. */
  isForgotten: z.literal(true).optional(),
});

/** The pinned peer, as kept in `identity/peer.json`. */
export type PeerIdentity = z.infer<typeof PeerIdentitySchema>;

/** A certificate by which the peer is known. */
export interface TrustedCertificate {
  readonly certificatePem: string;
  /** SHA-256, lower-case hexadecimal. */
  readonly fingerprint: string;
}

/** What is known of the peer's certificates. */
type KnownCertificates = Omit<PeerIdentity, 'pairId'>;

/** The certificates under which the peer is believed, the present one first: one, two while it renews it, none when it is forgotten. */
export function trustedCertificates(peer: KnownCertificates): TrustedCertificate[] {
  if (peer.isForgotten) return [];
  const { certificatePem, fingerprint, next } = peer;
  return [{ certificatePem, fingerprint }, ...(next === undefined ? [] : [next])];
}

/** Whether that is a certificate of the peer; null: none was shown. */
export function isTrusted(peer: KnownCertificates, fingerprint: string | null): boolean {
  return trustedCertificates(peer).some((certificate) => certificate.fingerprint === fingerprint);
}

/** The same as one PEM text, empty when none is trusted. */
export function trustedPem(peer: KnownCertificates): string {
  return trustedCertificates(peer)
    .map(({ certificatePem }) => certificatePem)
    .join('');
}
