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

/** Addresses and names by which the peer is reached, exchanged and pinned at registration. */
export const PeerIdentitySchema = z.object({
  name: z.string(),
  role: ServerRoleSchema,
  address: z.string(),
  certificatePem: z.string(),
  fingerprint: z.string().regex(/^[0-9a-f]{64}$/),
  ports: z.object({ healthMonitor: z.int(), fileSync: z.int(), pairLink: z.int(), database: z.int() }),
  pairId: z.string(),
});

/** The pinned peer, as kept in `identity/peer.json`. */
export type PeerIdentity = z.infer<typeof PeerIdentitySchema>;
