import type { Lsn } from './lsn.ts';

/** A request of consent to own the active role under `epoch`, and what was known of the giver when it was decided on. */
export interface ConsentRequest {
  readonly epoch: number;
  readonly nonce: string;
  /** Epoch of the owner whose data the giver had. */
  readonly knownLineage: number;
  /** Where its data ended, when it had closed for us. */
  readonly knownFinalLsn: Lsn | null;
}

/** What a decision asks the outside world to do. Performed in order; every one is safe to repeat from any point. */
export type Effect =
  /** Open the database read-write, whatever it was: start it, or start and promote a standby. */
  | { readonly kind: 'open-database'; readonly epoch: number }
  /** Promote a running standby once it has everything up to `requiredLsn`. */
  | { readonly kind: 'promote-database'; readonly epoch: number; readonly requiredLsn: Lsn | null }
  /** Close it cleanly; the result says where its data end. */
  | { readonly kind: 'stop-database'; readonly epoch: number }
  /** Become a streaming standby of the peer: follow, rewind or copy. */
  | {
      readonly kind: 'follow-peer';
      readonly epoch: number;
      readonly forceCopy: boolean;
      readonly lastInSyncUnixMs: number | null;
    }
  | { readonly kind: 'start-processes'; readonly epoch: number }
  | { readonly kind: 'stop-processes'; readonly epoch: number }
  /** Wait until the standby has received everything up to `lsn`. */
  | { readonly kind: 'await-data'; readonly epoch: number; readonly lsn: Lsn }
  /** Ask the peer's consent to own the active role; the answer comes as `consent-answered`. */
  | ({ readonly kind: 'request-consent' } & ConsentRequest)
  /** Ask the witness for the lease; the answer comes as `lease-answered`. */
  | { readonly kind: 'acquire-lease'; readonly epoch: number; readonly nonce: string }
  /** Close at once and at any price, within the time that the lease leaves: kill the application, stop the database immediately. */
  | { readonly kind: 'fence'; readonly epoch: number }
  /** Ask the active peer to stop for a hand-over; its progress is seen in its status. */
  | { readonly kind: 'request-hand-over'; readonly epoch: number; readonly operationId: string }
  /** Primary: prove the key, pin certificates, open replication for the secondary. */
  | { readonly kind: 'register-with-peer'; readonly epoch: number; readonly operationId: string }
  /** Tell the peer, when it can be reached, that the pair is dissolved. Its silence is no failure: it hears of it when it asks. */
  | { readonly kind: 'announce-dissolution'; readonly epoch: number; readonly pairId: string }
  /** Forget a peer: its identity, replication for it, and on a secondary, with `discardCopy`, a copy that was never whole. */
  | { readonly kind: 'retire-pairing'; readonly epoch: number; readonly discardCopy: boolean };

/** A failure to copy the peer's database: nothing is left, or (`copy-not-made`) what was there before is as it was. */
export function isFailedCopy(code: string): boolean {
  return code === 'copy-failed' || code === 'copy-not-made';
}

/** Name of an effect. */
export type EffectKind = Effect['kind'];

/** Facts that effects brought back, by what later decisions need. */
export interface EffectResults {
  /** stop-database: where the data end; null when that is not known. */
  readonly finalLsn?: Lsn | null;
  /** stop-database: there is no database in the data directory. */
  readonly databaseMissing?: boolean;
}
