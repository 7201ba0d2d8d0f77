import { doubtedRecord, newRecord, type ServerRecord, type ServerRole } from '@understudy/ha-core';

/** What a journal had when it was opened. */
export interface RecoveredJournal {
  /** The newest whole record, null when there is none; `isOwn`: this server has written it, as far as it says. */
  readonly kept: { readonly record: ServerRecord; readonly isOwn: boolean } | null;
  /** Number of that record; each has the next. 0: there is none. */
  readonly sequence: number;
  /** Something that was written cannot be read: the last record before a power loss, or one that was kept already. */
  readonly isDamaged: boolean;
}

/** A record as the node store keeps it. */
export interface StoredRecord {
  readonly record: ServerRecord;
  /** Number of the record in the journal when it was stored. */
  readonly sequence: number;
}

/** Everything that a server can know about its past at a start. */
export interface Traces {
  readonly role: ServerRole;
  readonly runId: string;
  readonly journal: RecoveredJournal;
  /** What the node store says; null: it has no record. `unknown`: it cannot be asked. */
  readonly store: StoredRecord | null | 'unknown';
  /** Pair of the pinned peer, null when none is pinned. */
  readonly pinnedPair: string | null;
  /** PostgreSQL's files say that this server has been a member of a pair. */
  readonly databaseWasPaired: boolean;
  /** The database of this server was commanded before: this is not its first start. */
  readonly hasBegun: boolean;
  /** Seconds since 1970. */
  readonly unixSeconds: number;
}

/** What the event list says about it. */
export interface RecordNotice {
  readonly severity: 'warning' | 'critical';
  readonly code: 'record-restored' | 'record-lost';
  readonly message: string;
}

/** The record to begin with, the number that its successors count from, and what is to be said about it. */
export interface Recollection {
  readonly record: ServerRecord;
  readonly sequence: number;
  readonly notice: RecordNotice | null;
}

const UNKNOWN_PAIR = 'unknown';
const NOT_KNOWN =
  'what it has decided since, whether it has consented to its peer, and how new its data are is not known';

/** What was decided cannot be told now, but perhaps later: the node store does not answer and is needed. */
export class StoreNeeded extends Error {}

/**
 * The newest record that can be proved; where none can, one that is doubted. Decision: docs/decisions/0014-lost-record.md. Throws
 * StoreNeeded when only the node store could tell, and it cannot be asked.
 */
export function recollect(traces: Traces): Recollection {
  const { role, runId, journal, store } = traces;
  const { kept, sequence, isDamaged } = journal;
  // the certificate of a server that is not paired may have been made anew
  const isForeign = kept !== null && !kept.isOwn && kept.record.pairId !== null;
  const own = isForeign ? null : (kept?.record ?? null);
  const stored = store === 'unknown' ? null : store;
  const isNewer = stored !== null && stored.sequence > sequence;

  if (own !== null && !isDamaged && !isNewer && !contradictsPin(own, traces)) return whole(own, sequence, null);
  if (store === 'unknown' && pairOf(own, traces) !== null)
    throw new StoreNeeded(
      `the journal ${stateOf(journal, isForeign)}, and the node store does not say what was decided`,
    );
  if (own !== null && stored !== null && stored.sequence <= sequence && !isForeign) {
    // both agree, or only what was never acted upon was torn
    const isConfirmed = isDamaged ? stored.sequence === sequence : true;
    if (isConfirmed) return whole(own, sequence, null);
  }
  // the two slots hold two records in a row: nothing newer than this can have been in the damaged one
  if (own !== null && isDamaged && stored?.sequence === sequence + 1)
    return whole(
      stored.record,
      stored.sequence,
      said('the newest record in the journal is damaged: taken from the node store'),
    );

  const found = isNewer || own === null ? (stored?.record ?? null) : own;
  const pairId = pairOf(found, traces);
  const lost = lossOf(journal, isForeign, isNewer);
  const before = Math.max(isForeign ? 0 : sequence, stored?.sequence ?? 0);
  if (pairId === null) {
    const record = found ?? newRecord(role, `none-before-${runId}`);
    if (!traces.hasBegun) return whole(record, before, null);
    const left = found === null ? 'nothing says that it was paired: begun anew' : 'what is left is of no pair';
    return whole({ ...record, epoch: Math.max(record.epoch, traces.unixSeconds) }, before, said(`${lost}; ${left}`));
  }
  const rebuilt =
    found === null
      ? 'the node store has no record either'
      : found === own
        ? 'the node store does not confirm what is left'
        : 'the record was taken from the node store';
  const doubt = `${lost}; ${rebuilt}: ${NOT_KNOWN}`;
  const record = doubtedRecord(role, found, { pairId, epoch: traces.unixSeconds, doubt });
  return {
    record,
    sequence: before,
    notice: { ...said(doubt), severity: 'critical', code: 'record-lost' },
  };
}

/** The pair that this server is a member of, as far as anything says so; null: none. */
function pairOf(record: ServerRecord | null, { pinnedPair, databaseWasPaired }: Traces): string | null {
  if (pinnedPair !== null && !record?.dissolved.includes(pinnedPair)) return pinnedPair;
  return record === null ? (databaseWasPaired ? UNKNOWN_PAIR : null) : record.pairId;
}

/** A record of no pair beside a pinned peer: an unfinished step, or a record from before the pair. Only the node store can tell. */
function contradictsPin({ pairId, dissolved }: ServerRecord, { pinnedPair }: Traces): boolean {
  return pinnedPair !== null && pairId === null && !dissolved.includes(pinnedPair);
}

function whole(record: ServerRecord, sequence: number, notice: RecordNotice | null): Recollection {
  return { record, sequence, notice };
}

function lossOf(journal: RecoveredJournal, isForeign: boolean, isNewer: boolean): string {
  if (isNewer && journal.kept !== null && !isForeign)
    return 'the journal of this server is older than its node store, as after the restore of a backup';
  return `the journal of this server ${stateOf(journal, isForeign)}`;
}

function stateOf({ kept, isDamaged }: RecoveredJournal, isForeign: boolean): string {
  if (isForeign) return 'is that of another server';
  if (isDamaged) return 'is damaged';
  return kept === null ? 'is gone' : 'knows nothing of the pinned peer';
}

function capitalised(text: string): string {
  return `${text.charAt(0).toUpperCase()}${text.slice(1)}`;
}

function said(message: string): RecordNotice {
  return { severity: 'warning', code: 'record-restored', message: capitalised(message) };
}
