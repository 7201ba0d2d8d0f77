import type { Effect } from './effects.ts';
import type { Lsn } from './lsn.ts';
import { type Protection, type ToldProtection, toldProtection } from './protection.ts';
import type { FailoverType, HaState, ServerRole } from './states.ts';

/**
 * Why a server is in `primary-failover`, or opens service in a passing state; `observed`: it said that it would have taken over;
 * `fenced`: it has closed itself because it could reach neither peer nor witness.
 */
export type Cause = 'hand-over' | 'superseded' | 'boot' | 'solo' | 'observed' | 'fenced' | null;

/** The one operation of the pair that an operator started, or that this server takes part in. */
export interface Operation {
  readonly id: string;
  readonly kind:
    | 'register'
    | 'replace-primary'
    | 'failover'
    | 'forced-failover'
    | 'failback'
    | 'forced-failback'
    | 'activate-alone'
    | 'remove';
}

/** Planned work: no automatic failover while it lasts. It ends by itself. */
export interface Maintenance {
  readonly reason: string;
  readonly minutes: number;
  /** When it ends on this server's monotonic clock in the run `runId`, and by the wall clock for a later run. */
  readonly untilMs: number;
  readonly runId: string;
  readonly untilUnixMs: number;
}

/** Everything of this server that must survive a crash. Written to the journal before any effect of a decision starts; under 4 KiB. */
export interface ServerRecord {
  readonly role: ServerRole;
  readonly state: HaState;
  /** Sentence of the decision that led here. */
  readonly reason: string;
  /** Monotonic time of the last change of state, in the run `runId`. */
  readonly stateSinceMs: number;
  readonly runId: string;
  readonly pairId: string | null;
  readonly failoverType: FailoverType;
  /** Highest epoch this server knows of. Only grows. */
  readonly epoch: number;
  /** Epoch under which this server owns the active role; 0: it does not own it. */
  readonly hold: number;
  /** Epoch of the owner whose data this server's database last followed or wrote. */
  readonly lineage: number;
  /** Service was opened under `hold` and not closed since. */
  readonly opened: boolean;
  /** Service was to be closed, and it is not known that it is: something may still write here. */
  readonly closing: boolean;
  /** The database copy is whole. False from the start of a first copy to its end. */
  readonly complete: boolean;
  /** The last consent given; until it has expired this server may not activate without its peer. */
  readonly promised: { readonly epoch: number; readonly nonce: string; readonly untilMs: number } | null;
  /** The outstanding request for consent. */
  readonly request: { readonly epoch: number; readonly nonce: string; readonly sentAtMs: number } | null;
  readonly operation: Operation | null;
  readonly cause: Cause;
  /** Where the data of this server end after it stopped for a hand-over. */
  readonly finalLsn: Lsn | null;
  /** The standby was in sync at its last look, so that an automatic failover is allowed. */
  readonly armed: boolean;
  /** The active peer was heard serving without us in sync: it has data that we lack. */
  readonly behind: boolean;
  /**
   * How far the peer's data were known to go, kept for when there is no live word of it: from the loss of the peer until it is heard
   * again, and while it is too far ahead.
   */
  readonly peerPosition: { readonly lineage: number; readonly lsn: Lsn } | null;
  /** The peer's run when this standby was last in sync. */
  readonly peerRunIdInSync: string | null;
  /** Monotonic time of the last automatic failover in this run; hold-down counts from it. */
  readonly lastAutomaticFailoverAtMs: number | null;
  /** Unix time at which the standby was last in sync, to the minute; to compare an absence with the retention. */
  readonly lastInSyncUnixMs: number | null;
  /** Whether commits wait for the standby, as this owner has decided or as this standby was told; null: never. */
  readonly protection: Protection | null;
  /** Planned work that is under way, or null. */
  readonly maintenance: Maintenance | null;
  /** Pairs that this server has dissolved or heard to be dissolved, the newest last: a former peer that asks is told. */
  readonly dissolved: readonly string[];
  /**
   * Those of them whose primary was replaced by another server. The secondary tells the replaced one that asks, and that one keeps it:
   * it never serves again. Decision: docs/decisions/0012-replaced-primary.md
   */
  readonly replaced: readonly string[];
  /**
   * What was lost of this record, in one sentence: what it says is not all that this server has done. Until its database follows an
   * owner, its peer knows it as the last one, or an operator decides, it owns nothing and asks for nothing. Null: the record is whole.
   * Decision: docs/decisions/0014-lost-record.md
   */
  readonly doubt: string | null;
  /** Counts decisions; the source of decision ids and nonces. */
  readonly decisions: number;
  /** Effects that have not been reported as ended. After a crash they run again. */
  readonly inFlight: { readonly decisionId: string; readonly effects: readonly Effect[] } | null;
}

/** What is known about the peer from its last fresh answer. */
export interface PeerView {
  readonly pairId: string | null;
  readonly role: ServerRole;
  readonly state: HaState;
  readonly runId: string;
  readonly epoch: number;
  readonly hold: number;
  readonly lineage: number;
  readonly serving: boolean;
  readonly complete: boolean;
  readonly finalLsn: Lsn | null;
  readonly lsn: Lsn | null;
  /** Active: bytes its standby has not confirmed as flushed; null when unknown. */
  readonly lagBytes: number | null;
  readonly streaming: boolean;
  readonly databaseUsable: boolean;
  readonly processesOk: boolean;
  /** Its record was lost: what its data are, nobody knows. */
  readonly doubted: boolean;
  /** It is being stopped on purpose, and serves only until the other server has taken over, for a short time. */
  readonly stopping: boolean;
  /** Its answer lets this server serve for the time of a lease. */
  readonly grants: boolean;
  readonly operation: { readonly id: string; readonly kind: string } | null;
  readonly failoverType: FailoverType;
  /** Owner: whether its commits wait for its standby. Otherwise: what it was told last. */
  readonly protection: ToldProtection;
}

/** The part of its status that a server tells of its own record; the rest is what it sees of its database and its processes. */
export function toldOfRecord(record: ServerRecord) {
  return {
    pairId: record.pairId,
    role: record.role,
    state: record.state,
    runId: record.runId,
    epoch: record.epoch,
    hold: record.hold,
    lineage: lineageOf(record),
    // until it is closed, clients may write to what has no right to serve any more
    serving: isServing(record) || (record.closing && record.cause === 'fenced'),
    complete: record.complete,
    doubted: record.doubt !== null,
    finalLsn: record.finalLsn,
    operation: record.operation && { id: record.operation.id, kind: record.operation.kind },
    failoverType: record.failoverType,
    protection: toldProtection(record),
  } satisfies Partial<PeerView>;
}

/** What is known about this server's PostgreSQL. */
export interface DatabaseView {
  readonly running: boolean;
  readonly usable: boolean;
  readonly streaming: boolean;
  readonly lsn: Lsn | null;
  /** Standby: bytes received and not replayed yet. */
  readonly lagBytes: number | null;
  readonly restartsExhausted: boolean;
  /** Active: the decision since which commits wait, when the standby has confirmed what was written before they did; else null. */
  readonly commitsConfirmedSince: number | null;
}

/**
 * The third vote, when there is one. `nats` keeps a lease that one server of the pair holds at a time; `gateway` only tells whether this
 * server is connected to the network at all. Decision: docs/decisions/0011-witness.md.
 */
export type WitnessSettings =
  | {
      readonly kind: 'nats';
      /** A right to serve lasts so long from when it was asked for. */
      readonly leaseMs: number;
      /** A server that may not serve any longer is closed within this time. */
      readonly fenceMs: number;
    }
  | { readonly kind: 'gateway' };

/** Settings that decisions depend on. */
export interface Settings {
  readonly maximumLagBytes: number;
  readonly minimumBetweenFailoversMs: number;
  readonly replication: 'async' | 'sync';
  /**
   * So long after an answer in which it said that its commits wait, an owner that cannot tell anybody otherwise has them wait. Longer
   * than a standby takes to find out that the owner is lost.
   */
  readonly wordLastsMs: number;
  readonly witness: WitnessSettings | null;
}

/** What is known of the witness. */
export interface WitnessView {
  /** It answered when it was last asked. */
  readonly reachable: boolean;
  /** This server's own lease lasts until then, on its own clock; null: it has none. */
  readonly leaseUntilMs: number | null;
  /** Who got the lease last; null: nobody ever, or unknown. */
  readonly holder: {
    readonly role: ServerRole;
    readonly epoch: number;
    /** What it said of its commits with that. */
    readonly protection?: ToldProtection;
  } | null;
  /** From when on the lease of the other server has surely ended, on this server's clock; null: unknown. */
  readonly takeableAtMs: number | null;
}

/** Everything `decide` may look at: the durable record and what is known at the moment. */
export interface Server {
  readonly record: ServerRecord;
  readonly settings: Settings;
  readonly link: 'unknown' | 'up' | 'lost' | 'confirmed-lost';
  readonly peer: PeerView | null;
  /** How far the peer's data went when it last said so, in this run of the manager. */
  readonly peerPosition: ServerRecord['peerPosition'];
  /** Time at which the peer was last heard. */
  readonly peerHeardAtMs: number | null;
  readonly database: DatabaseView | null;
  /** Time of the last event of any kind. */
  readonly lastEventAtMs: number;
  /** Last time the stream between the two databases was seen. */
  readonly streamedAtMs: number;
  /** Last time the database was seen usable (or meant to be stopped). */
  readonly usableAtMs: number;
  /** Critical process that cannot be restarted, or null. */
  readonly failedProcess: string | null;
  /** This manager has had the application started, or made sure that it runs: an earlier one may have died together with it. */
  readonly applicationSeen: boolean;
  /** What is known of the witness; null: there is none, or it was not asked yet. */
  readonly witness: WitnessView | null;
  /** The peer's answers let this server serve until then. */
  readonly peerGrantUntilMs: number;
  /** When a beat of the peer was answered last: an answer lets the peer serve for the time of a lease. */
  readonly answeredAtMs: number;
  /** Owner: when it last told its peer that its commits wait. */
  readonly toldAtMs: number;
  /** Standby: when it had last asked and was told so; null: not in this run of the manager. */
  readonly wordAtMs: number | null;
  /** Time of the last failed effect; attempts to follow the peer wait from it. */
  readonly effectFailedAtMs: number | null;
  /** Time of the last full copy that failed, until one succeeds or another peer state makes it void. */
  readonly copyFailedAtMs: number | null;
  /** When this server has tried to become active and could not; null: not since it last could. */
  readonly promotionFailedAtMs: number | null;
}

/** A server as it is before anything has ever happened to it. */
export function newRecord(role: ServerRole, runId: string): ServerRecord {
  return {
    role,
    state: 'ha-not-configured',
    reason: 'installed',
    stateSinceMs: 0,
    runId,
    pairId: null,
    failoverType: 'manual',
    epoch: 0,
    hold: 0,
    lineage: 0,
    opened: false,
    closing: false,
    complete: role === 'primary',
    promised: null,
    request: null,
    operation: null,
    cause: null,
    finalLsn: null,
    armed: false,
    behind: false,
    peerPosition: null,
    peerRunIdInSync: null,
    lastAutomaticFailoverAtMs: null,
    lastInSyncUnixMs: null,
    protection: null,
    maintenance: null,
    dissolved: [],
    replaced: [],
    doubt: null,
    decisions: 0,
    inFlight: null,
  };
}

/**
 * A server at the start of its process: what was kept, and nothing known yet about the world. `grantUntilMs`: how long the peer's answers
 * let this server serve, as an earlier manager of this run has noted it.
 */
export function atStart(record: ServerRecord, settings: Settings, atMs: number, grantUntilMs = 0): Server {
  return {
    record,
    settings,
    link: 'unknown',
    peer: null,
    peerPosition: null,
    peerHeardAtMs: null,
    database: null,
    lastEventAtMs: atMs,
    streamedAtMs: atMs,
    usableAtMs: atMs,
    failedProcess: null,
    applicationSeen: false,
    witness: null,
    peerGrantUntilMs: grantUntilMs,
    answeredAtMs: atMs, // an earlier manager may have answered just now
    toldAtMs: atMs,
    wordAtMs: null,
    effectFailedAtMs: null,
    copyFailedAtMs: null,
    promotionFailedAtMs: null,
  };
}

/** Whether that server mints that epoch: the primary odd, the secondary even numbers, so no two activations share one. */
export function isEpochOf(role: ServerRole, epoch: number): boolean {
  return epoch % 2 === (role === 'primary' ? 1 : 0);
}

/** Epoch of the owner whose data this server's database carries: its own while it owns the role. */
export function lineageOf(record: ServerRecord): number {
  return Math.max(record.lineage, record.hold);
}

/** Whether an answer to the peer's beat lets the peer serve. Not when the peer is confirmed lost: it beats, and does not answer. */
export function grantsToPeer({ link }: Server): boolean {
  return link !== 'confirmed-lost';
}

/** Whether this is a primary in whose place another server is: it never serves again. */
export function isReplaced({ pairId, replaced }: ServerRecord): boolean {
  return pairId !== null && replaced.includes(pairId);
}

/** Whether this server renews its lease at the witness: it owns the role and serves, or is about to. */
export function keepsLease({ hold, opened, inFlight }: ServerRecord): boolean {
  if (hold === 0) return false;
  return (
    opened || (inFlight?.effects ?? []).some(({ kind }) => kind === 'open-database' || kind === 'promote-database')
  );
}

/** Whether this server serves the application: it owns the role and has opened service. An unpaired primary serves alone. */
export function isServing(record: ServerRecord): boolean {
  if (record.role === 'primary' && (record.state === 'ha-not-configured' || record.state === 'ha-initializing'))
    return record.opened;
  return record.hold !== 0 && record.opened;
}
