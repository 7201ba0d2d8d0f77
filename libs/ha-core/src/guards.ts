import { type ConsentRequest, isFailedCopy } from './effects.ts';
import type { HaEvent } from './events.ts';
import { lagBytes, missingBytes, missingBytesNow } from './lag.ts';
import { isKnownAsLastOwner } from './lost-record.ts';
import { lsnDistance } from './lsn.ts';
import { exposure, isExposureKnown, isSynchronous, type Protection, protectionOf } from './protection.ts';
import { replacementRefusal } from './replacement.ts';
import { isEpochOf, isReplaced, isServing, keepsLease, lineageOf, type Server } from './server.ts';
import { type HaState, otherRole, type ServerRole } from './states.ts';
import { CLOCK_MARGIN, TIMING } from './timing.ts';

/** A named condition on what is known when an event arrives. Pure. */
export type Guard = (server: Server, event: HaEvent) => boolean;

const inState =
  (...states: HaState[]): Guard =>
  ({ peer }) =>
    peer !== null && states.includes(peer.state);
const linkUp: Guard = ({ link, peer }) => link === 'up' && peer !== null;
const linkLost: Guard = ({ link }) => link === 'lost' || link === 'confirmed-lost';
const idle: Guard = ({ record }) => record.inFlight === null;
const streaming: Guard = ({ database }) => database?.streaming === true;
const owner: Guard = ({ record }) => record.hold !== 0;
/** A later owner whose database is open: it serves, or it could not start the application. */
const peerServing: Guard = (server, event) => {
  const { peer, record } = server;
  if (!linkUp(server, event) || peer === null || peer.hold <= record.hold) return false;
  return peer.serving || (peer.state === 'secondary-uncertain' && peer.databaseUsable);
};
/** Behind by no more than that, a standby catches up within moments. */
const CAUGHT_UP_BYTES = 16 * 1024 ** 2;
const inPhase =
  (phase: Protection['phase']): Guard =>
  ({ record }) =>
    record.hold !== 0 && protectionOf(record).phase === phase;
const peerWithoutRole: Guard = (server, event) =>
  linkUp(server, event) && server.peer?.hold === 0 && !server.peer.serving;
const samePair: Guard = ({ record, peer }) => peer !== null && peer.pairId === record.pairId;
const waited =
  (ms: number): Guard =>
  ({ record }, { atMs }) =>
    atMs - record.stateSinceMs >= ms;

/** A part of the last record of a crashed log may have reached the standby, and is no record. Longer ones are rare. */
const PART_OF_RECORD_BYTES = 1024 ** 2;

/**
 * The peer has more of what this server itself wrote, under the role that it still owns, than is here: an older copy is in the place of
 * its database.
 */
function isOlderCopy({ record, peer, database }: Server): boolean {
  if (record.hold === 0 || peer === null || !peer.complete || peer.doubted) return false;
  if (peer.lineage !== lineageOf(record) || peer.lsn === null || database?.lsn == null) return false;
  return lsnDistance(database.lsn, peer.lsn) > PART_OF_RECORD_BYTES;
}

/** The peer's data are newer than ours: a later owner's, or the same owner's and further. */
function peerIsAhead(server: Server): boolean {
  const { record, peer } = server;
  if (peer === null) return false;
  if (!record.complete || record.doubt !== null) return true;
  // nobody knows what it has; but who owns the role as the secondary can have lost it to an order only
  if (peer.doubted && !(record.role === 'secondary' && record.hold !== 0)) return true;
  if (peer.lineage !== lineageOf(record)) return peer.lineage > lineageOf(record);
  // the owner of a lineage has all of it, unless an older copy of its database is all that it has
  if (record.hold !== 0 || !peer.complete) return isOlderCopy(server);
  // unknown is not equal: what is not known to be here may be missing
  const missing = missingBytesNow(server);
  return missing === null || missing > 0;
}

/**
 * The peer cannot give what may be missing here, and does not serve: it has lost its database, or nobody can say how far its data go.
 * Then an operator decides.
 */
export function peerCannotTell(server: Server): boolean {
  const { record, peer, link } = server;
  if (link !== 'up' || peer === null || peer.hold !== 0 || peer.serving) return false;
  if (!peer.complete || peer.doubted || record.doubt !== null) return true;
  return peer.lineage === lineageOf(record) && missingBytesNow(server) === null;
}

/** Our data are newer than the peer's: of a later owner, or of the same one and strictly further. */
function ownDataAreNewer(server: Server): boolean {
  const { record, peer, database } = server;
  if (peer === null || !record.complete || record.doubt !== null || peer.doubted) return false;
  if (!peer.complete) return !record.behind && (missingBytes(server) ?? 0) === 0;
  if (lineageOf(record) !== peer.lineage) return lineageOf(record) > peer.lineage;
  return peer.lsn !== null && database?.lsn != null && lsnDistance(peer.lsn, database.lsn) > 0;
}

/** Whether what has failed then, or never (null), may be tried again. */
function isRetryDue(failedAtMs: number | null, pauseMs: number, atMs: number): boolean {
  return failedAtMs === null || atMs - failedAtMs >= pauseMs;
}

/** Every guard that a rule may name. */
export const GUARDS = {
  'link-up': linkUp,
  'link-lost': linkLost,
  'link-not-up': (server, event) => !linkUp(server, event),
  'link-confirmed-lost': ({ link }) => link === 'confirmed-lost',
  idle,
  streaming,
  /** One of the two servers sees the stream now: the other's look at it is at most a second older. */
  'stream-seen': ({ database, peer, link }) =>
    database?.streaming === true || (link === 'up' && peer?.streaming === true),
  owner,
  'not-owner': ({ record }) => record.hold === 0,
  opened: ({ record }) => record.opened,
  'not-opened': ({ record }) => !record.opened,
  complete: ({ record }) => record.complete,
  /** The record of this server was lost, and nobody has said yet what its data are. */
  doubted: ({ record }) => record.doubt !== null,
  'not-doubted': ({ record }) => record.doubt === null,
  /** The peer, whose record is whole, knows this server as the last owner of the role. */
  'peer-knows-us-as-owner': isKnownAsLastOwner,
  /** The peer is in the middle of a registration with this server. */
  'peer-in-registration': (server, event) =>
    linkUp(server, event) && samePair(server, event) && server.peer?.state === 'ha-initializing',
  'not-complete': ({ record }) => !record.complete,
  automatic: ({ record }) => record.failoverType === 'automatic',
  /** Automatic takeover is allowed now: in sync when last seen, nothing known missing beyond the limit, hold-down over. */
  'automatic-failover-armed': (server, { atMs }) => automaticFailoverRefusal(server, atMs) === null,
  /** The same for a hand-over, by which nothing is lost. */
  'automatic-hand-over-armed': (server, { atMs }) => automaticFailoverRefusal(server, atMs, 'hand-over') === null,
  /** The failover type is observe, and this server would have taken over by itself now. It says so once. */
  'would-take-over': (server, { atMs }) => wouldTakeOver(server, atMs, 'alone'),
  /** The same for a hand-over. */
  'would-ask-for-hand-over': (server, { atMs }) => wouldTakeOver(server, atMs, 'hand-over'),
  /** No lease is needed to act alone: there is no witness that keeps one. */
  'no-lease-needed': ({ settings }) => settings.witness?.kind !== 'nats',
  'lease-needed': ({ settings }) => settings.witness?.kind === 'nats',
  /** Neither the peer's answers nor a lease let this server serve any longer than it takes to close it. */
  isolated: isIsolated,
  'not-isolated': (server, event) => !isIsolated(server, event),
  /** The lease can be had, and no answer given to the peer lets it serve any more. */
  'lease-takeable': (server, { atMs }) => leaseRefusal(server, atMs) === null,
  /**
   * Nobody has got the lease since this server served under it, or followed its owner: what it has is the newest. Not when it has consented
   * to the peer since: by that the peer serves without the lease, until this one has ended.
   */
  'lease-still-ours': ({ record, witness }) =>
    witness?.reachable === true &&
    witness.holder !== null &&
    witness.holder.role === record.role &&
    // a later epoch of this server's own: it was granted, and the answer was lost
    witness.holder.epoch >= Math.max(lineageOf(record), record.promised?.epoch ?? 0),
  /**
   * Nobody has got the lease since this owner got the role: without its consent the peer has to get it first. The owner itself may not
   * have got it yet, when it served on the answers of its peer, or when its primary was replaced a moment ago.
   */
  'lease-not-later': ({ record: { role, hold }, witness }) =>
    witness?.reachable === true &&
    (witness.holder === null || witness.holder.role === role || witness.holder.epoch < hold),
  'lease-given': (server, event) =>
    event.type === 'lease-answered' &&
    event.granted &&
    server.record.request !== null &&
    server.record.request.nonce === event.nonce &&
    server.record.request.epoch === server.record.epoch &&
    peerMayNotServe(server, event.atMs),
  'replicates-synchronously': ({ settings }) => settings.replication === 'sync',
  'commits-do-not-wait': inPhase('none'),
  'commits-begin-to-wait': inPhase('arming'),
  'commits-wait': inPhase('in-force'),
  'waiting-is-ending': inPhase('ending'),
  'commits-confirmed': ({ database, record }) =>
    database?.commitsConfirmedSince != null && database.commitsConfirmedSince === protectionOf(record).since,
  /** A standby that lacks little: commits that began to wait for more would wait for long. */
  'standby-caught-up': ({ database }) => database?.lagBytes != null && database.lagBytes <= CAUGHT_UP_BYTES,
  /** The standby database is gone for longer than a hiccup: what is committed waits for it. */
  'standby-detached': ({ database, streamedAtMs }, { atMs }) =>
    database?.streaming !== true && atMs - streamedAtMs >= TIMING.exposeAfterMs,
  /** It is known where it matters that the standby may miss what is acknowledged from now on. */
  'exposure-known': (server, { atMs }) => isExposureKnown(server, atMs),
  'was-fenced': ({ record }) => record.cause === 'fenced',
  'has-operation': ({ record }) => record.operation !== null,
  removing: ({ record }) => record.operation?.kind === 'remove',
  'dissolved-is-ours': ({ record }, event) => event.type === 'pair-dissolved' && event.pairId === record.pairId,
  /** The operation of this server in `ha-initializing` is to take the place of a lost primary. */
  replacing: ({ record }) => record.operation?.kind === 'replace-primary',
  /** This active secondary can get another primary now. */
  'primary-can-be-replaced': (server, event) =>
    event.type === 'replacement-begun' && replacementRefusal(server, event.isPinnedPrimary) === null,
  /** The secondary says that another server has taken the place of this one. */
  'replaced-by-another': (_, event) => event.type === 'pair-dissolved' && event.replaced === true,
  'not-replaced': ({ record }) => !isReplaced(record),
  'maintenance-over': ({ record }, event) => {
    const { maintenance, runId } = record;
    if (maintenance === null || event.type !== 'tick') return false;
    // a server that might take over waits until the other one surely closes itself again when it is cut off
    const waitMs = isServing(record)
      ? 0
      : maintenance.minutes * 60_000 * (CLOCK_MARGIN - 1) + TIMING.maintenanceMarginMs;
    return maintenance.runId === runId
      ? event.atMs >= maintenance.untilMs + waitMs
      : event.unixMs >= maintenance.untilUnixMs + waitMs;
  },
  /** A failback that may lose what the secondary wrote last, on the operator's word. */
  'forcing-failback': ({ record }) => record.operation?.kind === 'forced-failback',
  'not-forcing-failback': ({ record }) => record.operation?.kind !== 'forced-failback',
  'failback-is-forced': (_, event) => event.type === 'operator-failback' && event.force,
  'peer-forces-failback': (server, event) =>
    linkUp(server, event) &&
    inState('secondary-post-failback')(server, event) &&
    server.peer?.operation?.kind === 'forced-failback',
  'failed-to-stop-database': (_, event) => event.type === 'effect-failed' && event.effect === 'stop-database',
  /** A step of the clean-up failed some time ago. */
  'clean-up-due': ({ effectFailedAtMs }, { atMs }) =>
    effectFailedAtMs !== null && atMs - effectFailedAtMs >= TIMING.followRetryMs,
  /** The peer owns a later epoch while we own ours: both were active. */
  superseded: (server, event) =>
    owner(server, event) && linkUp(server, event) && (server.peer?.hold ?? 0) > server.record.hold,
  'peer-serving': peerServing,
  'peer-without-role': peerWithoutRole,
  /** The active peer is about to be stopped on purpose, and waits for this server to take over. */
  'peer-is-stopping': (server, event) => peerServing(server, event) && server.peer?.stopping === true,
  /** The peer has data of a later owner than we do. */
  'peer-has-later-data': (server, event) =>
    linkUp(server, event) && (server.peer?.lineage ?? 0) > lineageOf(server.record),
  /** An older copy is in the place of the database that this owner of the role had. */
  'older-copy': (server) => server.link === 'up' && isOlderCopy(server),
  'peer-not-serving': (server, event) => linkUp(server, event) && server.peer?.serving === false,
  'peer-not-giving-up': (server, event) => !inState('primary-failover')(server, event),
  'peer-without-database': peerCannotTell,
  'peer-syncing': (server, event) => linkUp(server, event) && inState('primary-syncing')(server, event),
  'own-data-newer': ownDataAreNewer,
  'peer-not-ahead': (server) => !peerIsAhead(server),
  'peer-failed': (server, event) =>
    linkUp(server, event) && inState('primary-uncertain', 'secondary-uncertain')(server, event),
  'peer-not-failed': (server, event) => !inState('primary-uncertain', 'secondary-uncertain')(server, event),
  /** The peer owns the role, and its database answers, whatever becomes of its processes. */
  'peer-database-open': (server, event) =>
    linkUp(server, event) && server.peer !== null && server.peer.hold !== 0 && server.peer.databaseUsable,
  /** The peer is at the point of taking or has asked for the role in an operation of its own. */
  'peer-not-taking-over': (server, event) => !inState('secondary-failover', 'primary-failback')(server, event),
  'peer-ready-copy': (server, event) =>
    linkUp(server, event) &&
    samePair(server, event) &&
    server.peer?.state === 'ha-initializing' &&
    server.peer.complete,
  'peer-committed-registration': (server, event) =>
    linkUp(server, event) &&
    samePair(server, event) &&
    inState('primary-active', 'primary-lost-secondary')(server, event),
  'peer-left-registration': (server, event) =>
    linkUp(server, event) && samePair(server, event) && !inState('ha-initializing', 'ha-not-configured')(server, event),
  'peer-of-our-pair': (server, event) => linkUp(server, event) && samePair(server, event),
  'peer-of-no-pair': (server, event) => linkUp(server, event) && server.peer?.pairId !== server.record.pairId,
  'peer-standby-down': (server, event) => linkUp(server, event) && server.peer?.databaseUsable === false,
  'peer-out-of-sync': (server, event) =>
    linkUp(server, event) &&
    !streaming(server, event) &&
    inState('secondary-lost-primary', 'secondary-alone', 'secondary-uncertain')(server, event),
  'peer-following': (server, event) =>
    linkUp(server, event) &&
    inState('secondary-syncing', 'secondary-lost-primary', 'secondary-alone', 'secondary-post-failback')(server, event),
  'peer-stopped-for-us': ({ record, peer, link }) =>
    link === 'up' &&
    peer !== null &&
    peer.finalLsn !== null &&
    !peer.serving &&
    peer.operation?.id === record.operation?.id,
  /** The peer of a forced failback serves nothing any more and may consent. */
  'peer-closed-for-us': ({ record, peer, link }) =>
    link === 'up' &&
    peer !== null &&
    !peer.serving &&
    (peer.hold === 0 || peer.finalLsn !== null) &&
    peer.operation?.id === record.operation?.id,
  'peer-gave-up-operation': ({ record, peer, link, peerHeardAtMs }, { atMs }) =>
    link === 'up' &&
    peer !== null &&
    peer.operation?.id !== record.operation?.id &&
    (peerHeardAtMs ?? 0) > record.stateSinceMs &&
    atMs - record.stateSinceMs >= TIMING.abandonedAfterMs,
  /** A primary that waits as a standby with a whole copy. */
  'peer-can-be-given-the-role': (server, event) =>
    linkUp(server, event) &&
    inState('primary-syncing', 'primary-preparing-for-failback')(server, event) &&
    server.peer?.complete === true &&
    !server.peer.doubted,
  'peer-in-failback': (server, event) =>
    linkUp(server, event) &&
    inState('secondary-failback')(server, event) &&
    server.peer?.operation?.kind === 'failback',
  'peer-ready-for-failback': ({ record, peer, link }) =>
    link === 'up' &&
    peer?.state === 'primary-failback' &&
    peer.operation?.id === record.operation?.id &&
    peer.streaming,
  'peer-active-again': (server, event) =>
    linkUp(server, event) && inState('secondary-active', 'secondary-uncertain')(server, event),
  'peer-restarted-since-sync': ({ record, peer }) =>
    peer !== null && record.peerRunIdInSync !== null && peer.runId !== record.peerRunIdInSync,
  'handing-over': ({ record }) => record.cause === 'hand-over',
  'was-superseded': ({ record }) => record.cause === 'superseded',
  'not-booting': ({ record }) => record.cause !== 'boot',
  booting: ({ record }) => record.cause === 'boot',
  closing: ({ record }) => record.closing,
  'not-closing': ({ record }) => !record.closing,
  'stopped-for-hand-over': ({ record }) => record.finalLsn !== null && !record.opened,
  /** A consent may be given: nothing is served here, no other consent is out, and the epoch is the peer's (its parity) and not older than any known here. */
  'may-consent': (server, event) => event.type === 'consent-requested' && consentRefusal(server, event) === null,
  /** The answer to our outstanding request, in time, and no later epoch was heard meanwhile. */
  'consent-given': ({ record }, event) =>
    event.type === 'consent-answered' &&
    event.granted &&
    record.request !== null &&
    record.request.nonce === event.nonce &&
    record.request.epoch === record.epoch &&
    event.atMs - record.request.sentAtMs <= TIMING.consentLifetimeMs,
  'consent-refused': ({ record }, event) =>
    event.type === 'consent-answered' && !event.granted && record.request?.nonce === event.nonce,
  'own-promise-expired': ({ record }, { atMs }) => record.promised === null || atMs >= record.promised.untilMs,
  'server-failed': (server, event) => failureOf(server, event.atMs) !== null,
  'server-recovered': (server, event) => failureOf(server, event.atMs) === null && server.database?.usable === true,
  'database-failed': ({ database, usableAtMs }, { atMs }) =>
    database?.restartsExhausted === true || atMs - usableAtMs > TIMING.databaseUnusableLimitMs,
  'database-usable': ({ database }) => database?.usable === true,
  'database-not-running': ({ database }) => database !== null && !database.running,
  'detached-too-long': ({ streamedAtMs }, { atMs }) => atMs - streamedAtMs >= TIMING.attachLimitMs,
  'standby-needs-help': ({ database, streamedAtMs }, { atMs }) =>
    database !== null &&
    !database.streaming &&
    (!database.running || atMs - streamedAtMs >= TIMING.detachedBeforeFollowMs),
  'retry-due': ({ effectFailedAtMs }, { atMs }) => isRetryDue(effectFailedAtMs, TIMING.followRetryMs, atMs),
  /** This manager does not know yet whether the application runs. */
  'application-not-seen': ({ applicationSeen }) => !applicationSeen,
  'lease-retry-due': ({ effectFailedAtMs }, { atMs }) => isRetryDue(effectFailedAtMs, TIMING.leaseRetryMs, atMs),
  /** Long enough after the last failure to follow: a quick retry heals hiccups, a full copy loads the active server. */
  'follow-retry-due': ({ effectFailedAtMs, copyFailedAtMs }, { atMs }) =>
    isRetryDue(effectFailedAtMs, TIMING.followRetryMs, atMs) && isRetryDue(copyFailedAtMs, TIMING.copyRetryMs, atMs),
  /** What has just kept this server from becoming active keeps it from it again. */
  'promotion-retry-due': ({ promotionFailedAtMs }, { atMs }) =>
    isRetryDue(promotionFailedAtMs, TIMING.promotionRetryMs, atMs),
  'lag-within-limit': (server) => server.database !== null && lagBytes(server) <= server.settings.maximumLagBytes,
  'attach-limit-over': waited(TIMING.attachLimitMs),
  'hand-over-limit-over': waited(TIMING.handOverLimitMs),
  'failback-answer-limit-over': waited(TIMING.failbackAnswerLimitMs),
  'release-limit-over': waited(TIMING.releaseLimitMs),
  'boot-search-over': waited(TIMING.bootSearchMs),
  'failed-before-role-was-usable': (_, event) => event.type === 'effect-failed' && event.effect === 'promote-database',
  'copy-failed': (_, event) => event.type === 'effect-failed' && isFailedCopy(event.code),
} as const satisfies Record<string, Guard>;

/** Whether the right to serve ends before this server could be closed later than now. Spec: a cut-off active server steps down. */
function isIsolated(
  { settings: { witness: settings }, witness, peerGrantUntilMs, link, record }: Server,
  { atMs }: HaEvent,
): boolean {
  if (settings === null || record.pairId === null || record.maintenance !== null) return false;
  if (settings.kind === 'gateway')
    return (link === 'lost' || link === 'confirmed-lost') && witness !== null && !witness.reachable;
  return atMs >= Math.max(peerGrantUntilMs, witness?.leaseUntilMs ?? 0) - settings.fenceMs;
}

/**
 * Until when this server may serve without asking again, on its own clock: by the peer's answers, by its lease, or by maintenance. Null
 * when it does not serve, or when nothing limits it.
 */
export function rightToServeUntilMs({ settings, witness, peerGrantUntilMs, record, database }: Server): number | null {
  // what is being closed for want of a right has none until it is closed; what is closed for a hand-over may be open until it is
  const isBeingClosed = record.closing && (record.cause === 'fenced' || (record.hold !== 0 && record.cause !== 'boot'));
  // an opening that has failed on the way may have left the database open
  const isLeftOpen = record.hold !== 0 && !record.closing && database?.running === true;
  const mayBeOpen = keepsLease(record) || isBeingClosed || isLeftOpen;
  if (settings.witness?.kind !== 'nats' || record.pairId === null || !mayBeOpen) return null;
  const granted = Math.max(peerGrantUntilMs, witness?.leaseUntilMs ?? 0);
  const { maintenance } = record;
  if (maintenance === null) return granted;
  // nobody gets the lease before the maintenance is over, and this server then has its usual margin to close itself
  return maintenance.runId === record.runId ? Math.max(granted, maintenance.untilMs + settings.witness.fenceMs) : null;
}

/**
 * From when on others close this server (its runner) and open nothing in it (db-replication), when its health monitor has not closed it:
 * after the first quarter of the margin in which it should. On its own clock; null when nothing limits it.
 */
export function closedByOthersFromMs(server: Server): number | null {
  const untilMs = rightToServeUntilMs(server);
  const { witness } = server.settings;
  return untilMs === null || witness?.kind !== 'nats' ? null : untilMs - witness.fenceMs * 0.75;
}

/** No answer that was given to the peer lets it serve any more. Clocks may run apart by a hundredth. */
function peerMayNotServe({ settings: { witness }, answeredAtMs }: Server, atMs: number): boolean {
  return witness?.kind !== 'nats' || atMs - answeredAtMs > witness.leaseMs * CLOCK_MARGIN;
}

/** Why the lease of the witness cannot be had now; null when it can, or when none is needed. */
export function leaseRefusal(server: Server, atMs: number): string | null {
  const { settings, witness, record } = server;
  if (settings.witness?.kind !== 'nats') return null;
  if (witness === null || !witness.reachable)
    return 'the witness cannot be reached, and only its lease tells that the other server does not serve: mend the way to the witness, or take the witness out of both configurations and restart both servers';
  // who owned the role before a restart has consented to nobody, and nobody else had the lease
  const isStillOwner = record.hold !== 0 && witness.holder?.role === record.role;
  if (record.maintenance !== null && !isStillOwner)
    return 'during maintenance the peer does not close itself when it is cut off';
  if (witness.holder?.role !== record.role) {
    if (witness.holder !== null && witness.holder.epoch > lineageOf(record))
      return 'the witness knows of a later owner than the one whose data this server has';
    if (witness.takeableAtMs === null || atMs < witness.takeableAtMs)
      return leaseOfOther(otherRole(record.role), witness.takeableAtMs, atMs);
  }
  return peerMayNotServe(server, atMs) ? null : 'an answer given to the peer lets it serve for another moment';
}

/** It runs for so long when it is not renewed any more; whether it is, only time tells. */
function leaseOfOther(other: ServerRole, takeableAtMs: number | null, atMs: number): string {
  const rest = takeableAtMs === null ? '' : ` for another ${Math.ceil((takeableAtMs - atMs) / 100) / 10} s`;
  return `the ${other} has the lease of the witness${rest}, and renews it as long as it runs: it probably serves. Waiting helps only when it is down; otherwise mend the link, or stop the ${other} first`;
}

/** Why a consent cannot be given whatever the state, in one sentence; null when it can. `epoch`: the one that is asked for. */
export function consentRefusal(
  { record, database }: Server,
  { epoch, knownLineage, knownFinalLsn }: ConsentRequest,
): string | null {
  if (record.opened) return 'it serves';
  if (record.closing && database?.running !== false) return 'it is not known to be closed yet';
  if (isChangingDatabase(record)) return 'its database is being opened or closed';
  if (record.hold !== 0 && record.finalLsn === null) return `it owns the role under epoch ${record.hold}`;
  if (epoch < record.epoch) return `it knows of epoch ${record.epoch}, later than ${epoch}`;
  if (isEpochOf(record.role, epoch)) return `epoch ${epoch} is not one of the asking server`;
  // a request that was under way for long: whoever asks has not got what was written here meanwhile
  if (lineageOf(record) > knownLineage)
    return `it has owned the role under epoch ${lineageOf(record)} since it was asked`;
  return record.hold !== 0 && record.finalLsn !== knownFinalLsn ? 'it has served again since it was asked' : null;
}

/** Effects in flight may still open the database, or have not closed it yet: a consent now could meet a writer. */
function isChangingDatabase({ inFlight }: Server['record']): boolean {
  return (inFlight?.effects ?? []).some(
    ({ kind }) =>
      kind === 'stop-database' || kind === 'fence' || kind === 'open-database' || kind === 'promote-database',
  );
}

/** Name of a guard. */
export type GuardName = keyof typeof GUARDS;

/** Why this server counts as failed by its own measure, or null. Spec: "Process Restart Fails". */
export function failureOf({ failedProcess, database, usableAtMs }: Server, atMs: number): string | null {
  if (failedProcess !== null) return `critical process "${failedProcess}" cannot be restarted`;
  if (database?.restartsExhausted) return 'PostgreSQL cannot be kept running';
  const silentMs = atMs - usableAtMs;
  if (silentMs > TIMING.databaseUnusableLimitMs)
    return `PostgreSQL has not answered for ${Math.round(silentMs / 1000)} s`;
  return null;
}

/** Why an automatic failover would be refused now, in one sentence with values; null when it is armed. */
export function automaticFailoverRefusal(
  server: Server,
  atMs: number,
  way: 'alone' | 'hand-over' = 'alone',
): string | null {
  if (server.record.failoverType === 'manual') return 'the failover type is manual';
  if (server.record.failoverType === 'observe')
    return 'the failover type is observe: it is only said what would be done';
  return takeoverRefusal(server, atMs, way);
}

function wouldTakeOver(server: Server, atMs: number, way: 'alone' | 'hand-over'): boolean {
  const { failoverType, cause } = server.record;
  return failoverType === 'observe' && cause !== 'observed' && takeoverRefusal(server, atMs, way) === null;
}

/**
 * Why a server whose failover type allows it would not take over by itself now; null when it would. By a hand-over nothing is lost, and
 * who hears the other does not need the witness.
 */
function takeoverRefusal(server: Server, atMs: number, way: 'alone' | 'hand-over'): string | null {
  const { record, settings } = server;
  if (record.maintenance !== null)
    return `maintenance is under way for ${record.maintenance.minutes} minutes: ${record.maintenance.reason}`;
  if (!record.complete) return 'the copy of the database is not whole';
  if (record.doubt !== null) return record.doubt;
  const isSync = isSynchronous(server);
  const isAlone = way === 'alone';
  const exposed = isSync && isAlone ? exposure(server, atMs) : null;
  if (exposed !== null) return exposed;
  // with every commit waiting for this server, nothing acknowledged can be missing
  if (record.behind && !isSync)
    return 'the primary served without this standby after the last sync: data are known to be missing';
  if (!record.armed) return 'the standby was not in sync with the active server when last seen';
  if (record.promised !== null && atMs < record.promised.untilMs) return 'a consent given to the peer has not expired';
  if (server.database?.lsn == null) return 'how far the data of this server go is not known at the moment';
  const missing = missingBytes(server);
  if (!isSync && missing !== null && missing > settings.maximumLagBytes)
    return `${missing} bytes are known to be missing, above the limit of ${settings.maximumLagBytes}`;
  if (isAlone && settings.witness?.kind === 'gateway' && server.witness?.reachable !== true)
    return 'the gateway does not answer: this server may be the one that is cut off';
  if (isAlone && settings.witness?.kind === 'nats' && server.witness?.reachable !== true)
    return 'the witness cannot be reached, and without its lease this server does not take over by itself';
  const last = record.lastAutomaticFailoverAtMs;
  if (last !== null && atMs - last < settings.minimumBetweenFailoversMs) {
    return `hold-down: the last automatic failover was ${Math.round((atMs - last) / 1000)} s ago, the minimum between two is ${settings.minimumBetweenFailoversMs / 1000} s`;
  }
  return null;
}
