import type { HaEvent } from './events.ts';
import { commitsShallWait, type Protection, protectionOf } from './protection.ts';
import { isEpochOf, lineageOf, type Operation, type Server, type ServerRecord } from './server.ts';
import { TIMING } from './timing.ts';

/** A named change of the durable record. Pure. */
export type Change = (server: Server, event: HaEvent) => Partial<ServerRecord>;

/** The next epoch of this server. */
export function nextEpoch({ role, epoch }: ServerRecord): number {
  return isEpochOf(role, epoch + 1) ? epoch + 1 : epoch + 2;
}

const KIND: Partial<Record<HaEvent['type'], Operation['kind']>> = {
  'operator-register': 'register',
  'registration-begun': 'register',
  'operator-failover': 'failover',
  'operator-forced-failover': 'forced-failover',
  'operator-failback': 'failback',
  'operator-activate-alone': 'activate-alone',
  'operator-remove': 'remove',
  'hand-over-requested': 'forced-failover',
};

function kindOf(event: HaEvent): Operation['kind'] | undefined {
  return event.type === 'operator-register' && event.replacesPrimary ? 'replace-primary' : KIND[event.type];
}

/** What a server keeps of a peer, forgotten. */
const FORGOTTEN = {
  pairId: null,
  failoverType: 'manual',
  hold: 0,
  promised: null,
  request: null,
  armed: false,
  behind: false,
  peerPosition: null,
  peerRunIdInSync: null,
  protection: null,
  cause: null,
  finalLsn: null,
  maintenance: null,
  doubt: null,
} as const satisfies Partial<ServerRecord>;
const DISSOLVED_KEPT = 8;

/** Every change that a rule may name. */
export const CHANGES = {
  'adopt-pair': (_, event) =>
    'pairId' in event && 'failoverType' in event ? { pairId: event.pairId, failoverType: event.failoverType } : {},
  /**
   * The pair is no more, or never came about: whoever of it asks later is told so. But a replacement that did not come about dissolves
   * nothing: the secondary may have adopted the pair already, and serves.
   */
  'forget-pair': ({ record }) => ({
    ...FORGOTTEN,
    dissolved: record.operation?.kind === 'replace-primary' ? record.dissolved : withPair(record.dissolved, record),
  }),
  /** Another primary, and with it another pair; the role is held and service is open as before. */
  'adopt-replacement': ({ record }, event) =>
    event.type === 'replacement-begun'
      ? {
          ...FORGOTTEN,
          hold: record.hold,
          pairId: event.pairId,
          failoverType: event.failoverType,
          dissolved: withPair(record.dissolved, record),
          replaced: withPair(record.replaced, record),
        }
      : {},
  /** What this server has is nobody's past in this pair. */
  'disown-data': () => ({ complete: false, lineage: 0, lastInSyncUnixMs: null }),
  /** Another server is in the place of this one, for good. */
  'note-replaced': ({ record }) => ({
    hold: 0,
    lineage: lineageOf(record),
    request: null,
    armed: false,
    cause: null,
    replaced: withPair(record.replaced, record),
  }),
  'begin-maintenance': ({ record }, event) =>
    event.type === 'operator-maintenance'
      ? {
          maintenance: {
            reason: event.reason,
            minutes: event.minutes,
            untilMs: event.atMs + event.minutes * 60_000,
            runId: record.runId,
            untilUnixMs: event.unixMs + event.minutes * 60_000,
          },
        }
      : {},
  'have-commits-wait': ({ record }) => ({
    protection: { ...protectionOf(record), phase: 'arming', since: record.decisions },
  }),
  'no-commit-waits': ({ record }) => ({ protection: { ...protectionOf(record), phase: 'none' } }),
  'protect-standby': ({ record }) => ({ protection: nextProtection(record, 'in-force') }),
  'expose-standby': ({ record }) => ({ protection: nextProtection(record, 'ending') }),
  'end-maintenance': () => ({ maintenance: null }),
  'start-incomplete': () => ({ complete: false }),
  'whole-again': () => ({ complete: true }),
  'take-role': ({ record }) => activate(record),
  /** The database is written under the role already. */
  'data-are-own': ({ record }) => ({ lineage: record.hold }),
  'take-role-alone': ({ record }) => ({ ...activate(record), cause: 'solo', behind: false, doubt: null }),
  'note-automatic-failover': (_, { atMs }) => ({ lastAutomaticFailoverAtMs: atMs }),
  'accept-consent': ({ record }) => ({
    hold: record.request?.epoch ?? 0,
    request: null,
    promised: null,
    doubt: null,
    finalLsn: null,
    behind: false,
  }),
  /** The role is asked of the witness: as with the peer, the epoch is durable first. */
  'ask-lease': ({ record }, { atMs }) => asking(record, atMs),
  'ask-consent': ({ record }, { atMs }) => asking(record, atMs),
  'give-consent': ({ record, settings }, event) =>
    event.type === 'consent-requested'
      ? {
          hold: 0,
          lineage: lineageOf(record),
          epoch: Math.max(record.epoch, event.epoch),
          request: null,
          armed: false,
          // what the other has said of its commits was under an earlier epoch
          protection:
            record.protection === null && settings.replication === 'async'
              ? null
              : { epoch: event.epoch, change: 0, phase: 'none', since: 0 },
          promised: {
            epoch: event.epoch,
            nonce: event.nonce,
            untilMs: event.atMs + TIMING.consentLifetimeMs + TIMING.consentMarginMs,
          },
        }
      : {},
  'accept-lease': ({ record }) => ({
    hold: record.request?.epoch ?? 0,
    request: null,
    promised: null,
    doubt: null,
    finalLsn: null,
    behind: false,
    cause: 'solo',
  }),
  /** Closed for want of a right to serve; who owned the role last is known by the lineage. */
  fenced: ({ record }) => ({
    cause: 'fenced',
    hold: 0,
    lineage: lineageOf(record),
    request: null,
    armed: false,
    finalLsn: null,
  }),
  'release-role': () => ({ hold: 0, request: null }),
  'withdraw-request': () => ({ request: null }),
  'hand-over': () => ({ cause: 'hand-over' }),
  superseded: () => ({ cause: 'superseded', hold: 0, request: null, armed: false, finalLsn: null }),
  /** A server that has closed itself without consenting to anybody may be given the lease again, by itself, after a start too. */
  'note-boot': ({ record }) => ({
    cause: record.cause === 'fenced' ? 'fenced' : 'boot',
    armed: false,
    request: null,
    finalLsn: null,
    // what still runs goes on to wait, and so does what is opened next, until it is known that the standby may miss it
    protection: commitsShallWait(record) == null ? record.protection : nextProtection(record, 'ending'),
  }),
  'clear-cause': () => ({ cause: null }),
  'note-observed': () => ({ cause: 'observed' }),
  /** The record was lost, and the peer knows this server as the last owner: what is here is of that owner. */
  'believe-peer': ({ record, peer }) => ({
    doubt: null,
    lineage: Math.max(record.lineage, peer?.lineage ?? 0),
    failoverType: peer?.failoverType ?? record.failoverType,
  }),
  disarm: () => ({ armed: false }),
  'in-sync': ({ record, peer }) => ({
    lineage: Math.max(record.lineage, peer?.hold ?? 0),
    behind: false,
    peerRunIdInSync: peer?.runId ?? null,
    complete: true,
    doubt: null,
    finalLsn: null,
    cause: null,
    failoverType: peer?.failoverType ?? record.failoverType,
  }),
  'begin-operation': (_, event) => {
    const kind = kindOf(event);
    return kind !== undefined && 'operationId' in event ? { operation: { id: event.operationId, kind } } : {};
  },
  'begin-forced-failback': (_, event) =>
    event.type === 'operator-failback' ? { operation: { id: event.operationId, kind: 'forced-failback' } } : {},
  'begin-automatic-operation': ({ record }) => ({
    operation: { id: `${record.runId}:${record.decisions}`, kind: 'failover' },
  }),
  'join-operation': ({ peer }) =>
    peer?.operation
      ? {
          operation: {
            id: peer.operation.id,
            kind: peer.operation.kind === 'forced-failback' ? 'forced-failback' : 'failback',
          },
        }
      : {},
  /** The operation ended as it was meant to. */
  'end-operation': () => ({ operation: null }),
  /** The operation ended without what it was meant to do. */
  'fail-operation': () => ({ operation: null }),
  'abandon-effects': () => ({ inFlight: null }),
  'forget-final': () => ({ finalLsn: null }),
  'set-failover-type': (_, event) =>
    event.type === 'operator-failover-type' ? { failoverType: event.failoverType, armed: false } : {},
} as const satisfies Record<string, Change>;

/** Name of a change. */
export type ChangeName = keyof typeof CHANGES;

/** What waits under the former epoch goes on to wait, until it is known that the standby may miss it. */
function stillWaiting(record: ServerRecord, epoch: number): Partial<ServerRecord> {
  const since = commitsShallWait(record);
  return since == null ? {} : { protection: { epoch, change: 1, phase: 'ending', since } };
}

function nextProtection(record: ServerRecord, phase: Protection['phase']): Protection {
  const { epoch, change, since } = protectionOf(record);
  return { epoch, change: change + 1, phase, since };
}

function withPair(pairs: readonly string[], { pairId }: ServerRecord): readonly string[] {
  return pairId === null ? pairs : [...pairs, pairId].slice(-DISSOLVED_KEPT);
}

function asking(record: ServerRecord, atMs: number): Partial<ServerRecord> {
  const epoch = nextEpoch(record);
  const nonce = `${record.runId}:${record.role}:${epoch}:${record.decisions}`;
  return { epoch, request: { epoch, nonce, sentAtMs: atMs } };
}

function activate(record: ServerRecord): Partial<ServerRecord> {
  const epoch = nextEpoch(record);
  return { epoch, hold: epoch, promised: null, request: null, finalLsn: null, ...stillWaiting(record, epoch) };
}
