import type { HaEvent } from './events.ts';
import { automaticFailoverRefusal, leaseRefusal, peerCannotTell } from './guards.ts';
import { missingBytes, peerPosition } from './lag.ts';
import { exposure, isSynchronous } from './protection.ts';
import { isReplaced, isServing, lineageOf, type Server } from './server.ts';
import { HA_STATE_LABELS, type HaState, otherRole, type ServerRole } from './states.ts';

/** Orders of an operator, in the words of events. */
export const OPERATOR_EVENTS = [
  'operator-register',
  'operator-failover',
  'operator-forced-failover',
  'operator-failback',
  'operator-activate-alone',
  'operator-remove',
  'operator-maintenance',
  'operator-maintenance-end',
  'operator-cancel',
  'operator-failover-type',
] as const;

/** Name of an operator's order. */
export type OperatorEventType = (typeof OPERATOR_EVENTS)[number];

const REPLACED =
  'another server has taken the place of this one: it never serves again; to use it anew, start it with an empty data directory';
const REPLACEMENT_WARNING =
  'the database of this server is replaced by that of the secondary, and its application is stopped; what is here now is kept beside it and served no more: confirm that';

/**
 * Why an order would be refused now: one sentence with the failing condition and its value; null when it is possible.
 * Without `order` (the list of available actions) an acknowledgement that can be given does not count as a refusal.
 */
export function actionRefusal(server: Server, action: OperatorEventType, atMs: number, order?: HaEvent): string | null {
  const { record, peer, link, database } = server;
  const state = HA_STATE_LABELS[record.state];
  const label = (name: HaState) => HA_STATE_LABELS[name];
  const inOneOf = (...states: HaState[]) =>
    states.includes(record.state) ? null : `the state is ${state}, not ${states.map(label).join(' or ')}`;
  /** With what to do about it. */
  const inOnly = (required: HaState, remedy: string) => inOneOf(required) && `${inOneOf(required)}: ${remedy}`;
  const noOperation = record.operation === null ? null : `the operation ${record.operation.kind} is running`;
  const peerReachable = link === 'up' ? null : 'the peer is not reachable';
  const streaming =
    database?.streaming || (link === 'up' && peer?.streaming)
      ? null
      : 'the databases are not in sync: replication is not streaming';
  const onlyOn = (role: 'primary' | 'secondary') =>
    record.role === role ? null : `only possible on the ${role}: give the order there`;
  /** The lease is asked for when nothing else is going on. */
  const notForLease =
    server.settings.witness?.kind !== 'nats'
      ? null
      : record.inFlight !== null
        ? 'the steps of an earlier decision are still being performed'
        : record.closing
          ? 'this server is still being closed'
          : null;
  const isLost = link === 'lost' || link === 'confirmed-lost';
  const busy = record.inFlight === null ? null : 'a change is under way on this server';
  const whole = record.complete ? null : 'the copy of the database on this server is not whole';
  const promise =
    record.promised !== null && atMs < record.promised.untilMs
      ? `a consent given to the peer is valid for another ${Math.ceil((record.promised.untilMs - atMs) / 1000)} s`
      : null;

  const peerHasNothing = peerCannotTell(server);
  const replaced = isReplaced(record) ? REPLACED : null;

  switch (action) {
    case 'operator-register':
      return (
        onlyOn('primary') ??
        inOnly(
          'ha-not-configured',
          'this server is in a pair already; to register anew, remove HA first (ha remove)',
        ) ??
        noOperation ??
        (record.opened ? null : 'the database and the processes are not running yet') ??
        (record.inFlight === null ? null : 'an earlier registration is being cleaned up') ??
        (order?.type === 'operator-register' && order.replacesPrimary && !order.confirmed ? REPLACEMENT_WARNING : null)
      );
    case 'operator-failover': {
      // whoever has given its consent to a failback can do nothing for it any more
      const hasConsented = record.state === 'secondary-post-failback' && record.hold === 0;
      const refusal = onlyOn('secondary') ?? (hasConsented ? null : noOperation);
      if (refusal !== null) return refusal;
      const peerFailed = link === 'up' && peer?.state === 'primary-uncertain';
      const possible = peerFailed
        ? inOneOf('secondary-syncing', 'secondary-lost-primary', 'secondary-alone')
        : link === 'up'
          ? inOneOf('secondary-lost-primary', 'secondary-alone')
          : inOneOf('secondary-lost-primary', 'secondary-alone', 'secondary-uncertain', 'secondary-post-failback');
      if (possible !== null)
        return record.state === 'secondary-syncing' && link === 'up'
          ? `${possible}: the primary is not lost; to take over all the same: ha force-failover`
          : possible;
      if (record.hold !== 0) return 'this server owns the active role';
      if (link === 'unknown') return 'the primary is still being looked for';
      if (!peerFailed && link === 'up') {
        if (peer?.serving) return 'the primary is reachable and serves: use the forced failover';
        if (peer === null || peer.hold !== 0) return 'the primary owns the role and is opening or closing service';
        if (busy !== null) return busy;
      }
      if (peerFailed && record.doubt !== null) return record.doubt;
      // a failed primary that can be asked hands over, and nothing is lost by that
      return (
        whole ??
        promise ??
        (link === 'up' ? null : (leaseRefusal(server, atMs) ?? notForLease)) ??
        (!peerFailed && order?.type === 'operator-failover' && !order.acceptDataLoss ? dataLoss(server, atMs) : null)
      );
    }
    case 'operator-forced-failover':
      return (
        onlyOn('secondary') ??
        noOperation ??
        inOnly(
          'secondary-syncing',
          'it takes over from a primary that serves and is in sync; a lost one: ha failover',
        ) ??
        peerReachable ??
        (peer?.state === 'primary-active'
          ? null
          : `the primary is ${peer ? label(peer.state) : 'unknown'}, not ${label('primary-active')}`) ??
        (peer?.processesOk ? null : 'not every process of the primary is running') ??
        streaming ??
        whole ??
        busy
      );
    case 'operator-failback': {
      const refusal =
        onlyOn('secondary') ?? noOperation ?? inOneOf('secondary-active', 'secondary-uncertain') ?? peerReachable;
      if (refusal !== null) return refusal;
      const forced = order?.type === 'operator-failback' && order.force;
      const peerState = peer ? label(peer.state) : 'unknown';
      if (!forced)
        return (
          (peer?.state === 'primary-syncing' ? null : `the primary is ${peerState}, not ${label('primary-syncing')}`) ??
          streaming ??
          busy
        );
      if (peer?.state !== 'primary-syncing' && peer?.state !== 'primary-preparing-for-failback')
        return `the primary is ${peerState}, not ${label('primary-syncing')} or ${label('primary-preparing-for-failback')}`;
      if (!peer.complete) return 'the copy of the database on the primary is not whole';
      if (peer.doubted) return 'the primary has lost its record: what its data are is not known';
      return streaming === null || order.acceptDataLoss
        ? null
        : 'what the secondary wrote last has not reached the primary and would be lost; repeat with acceptDataLoss to go on';
    }
    case 'operator-activate-alone':
      return (
        onlyOn('primary') ??
        noOperation ??
        replaced ??
        (peerHasNothing
          ? inOneOf('primary-alone', 'primary-preparing-for-failback')
          : inOnly('primary-alone', 'it is for a primary that serves nobody because the secondary is lost')) ??
        (record.opened ? 'this server serves already' : null) ??
        (peerHasNothing
          ? null
          : link === 'up'
            ? 'the secondary is reachable'
            : link === 'unknown'
              ? 'the secondary is still being looked for'
              : null) ??
        whole ??
        promise ??
        busy ??
        (peerHasNothing ? null : leaseRefusal(server, atMs)) ??
        (order?.type === 'operator-activate-alone' && !order.acceptDataLoss ? dataLoss(server, atMs) : null)
      );
    case 'operator-remove':
      return removeRefusal(server, atMs, order) ?? promise;
    case 'operator-maintenance':
      return record.pairId === null || record.state === 'ha-initializing' ? 'HA is not configured' : null;
    case 'operator-maintenance-end':
      if (record.maintenance === null) return 'no maintenance is under way';
      return server.settings.witness?.kind === 'nats' && !isServing(record) && link !== 'up'
        ? 'the peer cannot be told, and does not close itself when it is cut off until the maintenance ends by its time limit'
        : null;
    case 'operator-cancel':
      if (record.operation === null) return 'no operation is running';
      if (record.state === 'ha-initializing' && record.role === 'secondary' && record.complete && !isLost)
        return 'the copy is whole and the primary decides: cancel there';
      return record.state === 'ha-initializing' ||
        record.state === 'secondary-failback' ||
        ((record.state === 'secondary-failover' || record.state === 'primary-failover') &&
          (record.role === 'primary') === (record.hold !== 0))
        ? null
        : 'the operation is past its point of no return';
    case 'operator-failover-type':
      return onlyOn('primary') ?? inOneOf('primary-active', 'primary-lost-secondary');
  }
}

/** Why HA cannot be removed on this server now. Spec: "Remove HA Via the GUI"; the relaxed cases: docs/decisions/0010-removal.md. */
function removeRefusal(server: Server, atMs: number, order?: HaEvent): string | null {
  const { record, peer, link } = server;
  if (record.pairId === null) return 'HA is not configured';
  // a primary without HA serves
  if (isReplaced(record)) return REPLACED;
  if (record.operation !== null) return `the operation ${record.operation.kind} is running`;
  if (record.inFlight !== null) return 'a change is under way on this server';
  const state = HA_STATE_LABELS[record.state];
  const peerName = otherRole(record.role);
  if (record.state === 'primary-active' || record.state === 'primary-lost-secondary') {
    if (!record.opened) return 'this server does not serve yet';
    if (link !== 'up') return unconfirmedRemoval(record.role, order);
    if (peer === null) return null;
    if (peer.serving) return 'the secondary is active: fail back first';
    return peer.state === 'secondary-post-failback' || peer.state === 'secondary-failover'
      ? `the secondary is ${HA_STATE_LABELS[peer.state]}: wait until it follows again`
      : null;
  }
  const possible = ['primary-alone', 'secondary-lost-primary', 'secondary-alone', 'secondary-uncertain'];
  if (!possible.includes(record.state) || record.opened || (record.role === 'secondary' && record.hold !== 0))
    return record.role === 'primary'
      ? `the state is ${state}: removal needs ${HA_STATE_LABELS['primary-active']}; fail back first`
      : 'only possible on the primary; on the secondary when it does not serve and the primary is lost';
  if (link === 'up') return `the ${peerName} is reachable: it settles by itself, or remove HA on the primary`;
  if (link === 'unknown') return `the ${peerName} is still being looked for`;
  if (record.role === 'primary' && !record.complete) return 'the copy of the database on this server is not whole';
  const unconfirmed = unconfirmedRemoval(record.role, order);
  if (unconfirmed !== null) return unconfirmed;
  const asksForLoss = order?.type === 'operator-remove' && record.role === 'primary' && !order.acceptDataLoss;
  return asksForLoss ? dataLoss(server, atMs) : null;
}

/** A server that cannot be reached does not hear that the pair is dissolved: what it does then is the operator's to know. */
function unconfirmedRemoval(role: ServerRole, order?: HaEvent): string | null {
  if (order?.type !== 'operator-remove' || order.confirmed) return null;
  return role === 'primary'
    ? 'the secondary is not reachable: it may serve, or take over by itself under automatic failover, and then both servers serve. Stop it first, or remove HA there; then confirm with its name'
    : 'the primary is not reachable and is not told: confirm with its name, and remove HA there as well';
}

/** What an operator must acknowledge before this server takes the role without its peer's consent, or null. */
export function dataLoss(server: Server, atMs: number): string | null {
  const { record, peer } = server;
  const word = 'repeat with acceptDataLoss to go on';
  const other = otherRole(record.role);
  if (record.doubt !== null) return `${record.doubt}; ${word}`;
  if (peer?.doubted) return `the ${other} has lost its record: what it has more than this server is not known; ${word}`;
  if (record.hold === 0 && (record.promised?.epoch ?? 0) > lineageOf(record))
    return `this server has consented to the ${other}, which may have served since: data may be missing here; ${word}`;
  if (isSynchronous(server) && record.hold === 0) {
    const exposed = exposure(server, atMs);
    return exposed === null ? null : `${exposed}; ${word}`;
  }
  if (record.behind || (peer !== null && peer.lineage > lineageOf(record)))
    return `the ${other} served after the last sync: data are missing here; ${word}`;
  if (peerPosition(server) !== null && server.database?.lsn == null)
    return `how far the data of this server go is not known at the moment; wait, or ${word}`;
  const missing = missingBytes(server);
  // what owned the role last, as far as it knows, has everything
  if (missing === null && record.hold !== 0) return null;
  if (missing === null)
    return `how much of the ${other}'s data is missing here is not known: the last time both were in sync was ${
      record.lastInSyncUnixMs === null ? 'never' : new Date(record.lastInSyncUnixMs).toISOString()
    }; ${word}`;
  return missing > 0 ? `${missing} bytes of the ${other}'s data are known to be missing here; ${word}` : null;
}

const ARMED = {
  none: 'armed, without witness: a network split can make both servers active',
  gateway:
    'armed; the gateway only tells a server that is cut off from it: a network split elsewhere can make both active',
  nats: 'armed, with the lease of the witness: never are both servers active',
};

/** Whether automatic failover would happen if the peer were lost now, and why not. */
export function automaticFailover(server: Server, atMs: number): { readonly armed: boolean; readonly reason: string } {
  const { record } = server;
  if (record.state === 'ha-not-configured' || record.state === 'ha-initializing')
    return { armed: false, reason: 'HA is not configured' };
  if (record.role === 'primary')
    return {
      armed: false,
      reason:
        record.failoverType === 'automatic'
          ? 'decided by the secondary'
          : `the failover type is ${record.failoverType}`,
    };
  if (record.hold !== 0) return { armed: false, reason: 'this server is active' };
  const refusal = automaticFailoverRefusal(server, atMs);
  return refusal === null
    ? { armed: true, reason: ARMED[server.settings.witness?.kind ?? 'none'] }
    : { armed: false, reason: refusal };
}
