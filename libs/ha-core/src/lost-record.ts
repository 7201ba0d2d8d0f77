import { isEpochOf, newRecord, type Server, type ServerRecord } from './server.ts';
import type { ServerRole } from './states.ts';

/** What is still known of a server of a pair whose record was lost, or is older than what the server has done since. */
export interface LeftOfRecord {
  /** The pair of the pinned peer. */
  readonly pairId: string;
  /** An epoch that is higher than any that this server can have used: none of its own is used twice. */
  readonly epoch: number;
  /** What was lost and what is left, in one sentence without its period. */
  readonly doubt: string;
}

/**
 * The record of a server of a pair that cannot know any more what it has done: it owns nothing, trusts nothing of its past, and behaves
 * as if it had given its consent just now. Decision: docs/decisions/0014-lost-record.md
 *
 * @param found an older record that was found; null: none
 */
export function doubtedRecord(role: ServerRole, found: ServerRecord | null, left: LeftOfRecord): ServerRecord {
  const base = found ?? newRecord(role, '');
  return {
    ...base,
    // a copy takes its place only when it is whole: what is there is, whatever was known of an earlier one
    complete: true,
    state: role === 'primary' ? 'primary-alone' : 'secondary-lost-primary',
    reason: left.doubt,
    runId: 'before the record was lost',
    pairId: left.pairId,
    epoch: Math.max(base.epoch, left.epoch),
    hold: 0,
    opened: false,
    promised: { epoch: 0, nonce: '', untilMs: 0 },
    request: null,
    operation: null,
    cause: null,
    finalLsn: null,
    armed: false,
    protection: null,
    inFlight: null,
    doubt: left.doubt,
  };
}

/**
 * Whether the peer, whose own record is whole, knows this server as the last owner of the role: had the peer owned it since, its record
 * would say so. Then what is here is the newest there is.
 */
export function isKnownAsLastOwner({ record, peer, link }: Server): boolean {
  if (link !== 'up' || peer === null || peer.doubted || !peer.complete) return false;
  return peer.hold === 0 && !peer.serving && peer.lineage !== 0 && isEpochOf(record.role, peer.lineage);
}
