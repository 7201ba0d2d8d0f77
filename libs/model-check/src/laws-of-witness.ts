import { CLOCK_MARGIN, type HaEvent, isServing, type Server, TIMING } from '@understudy/ha-core';
import type { LawOfDecision } from './laws-of-decisions.ts';
import { ROLES, type Side, type World } from './world.ts';

/** Events after which a server that may not serve any longer has to close itself. */
const CLOSING_EVENTS: readonly HaEvent['type'][] = [
  'peer-heard',
  'database-observed',
  'tick',
  'effects-completed',
  'witness-observed',
  'peer-lost',
  'peer-confirmed-lost',
];

/** Laws about the third vote and about maintenance, of one decision, without using a guard of the product. */
export const LAWS_OF_WITNESS: readonly LawOfDecision[] = [
  {
    law: '4',
    breach: (before, _, { rule, server: { settings } }) =>
      settings.witness?.kind === 'nats' && rule?.change?.includes('take-role-alone') === true
        ? `takes the role alone in ${before.record.state} without asking for the lease`
        : null,
  },
  {
    law: '4',
    breach: (before, event, { rule, server }) => {
      if (rule?.change?.includes('accept-lease') !== true) return null;
      const { request } = before.record;
      if (event.type !== 'lease-answered' || !event.granted) return 'takes the role by a lease that was not given';
      if (request === null || request.nonce !== event.nonce)
        return 'takes the answer of the witness to another request';
      if (event.atMs - request.sentAtMs > TIMING.consentLifetimeMs + 1)
        return 'takes a lease that was asked for long ago';
      if (server.record.hold !== request.epoch || before.record.epoch !== request.epoch)
        return `takes ${server.record.hold} by a lease for ${request.epoch}, and knows of ${before.record.epoch}`;
      if (before.link === 'up') return 'takes the role by the lease although the peer is there';
      const { witness } = before.settings;
      if (witness?.kind !== 'nats') return 'takes the role by the lease of no witness';
      return event.atMs - before.answeredAtMs <= witness.leaseMs * CLOCK_MARGIN
        ? `takes the role by the lease ${event.atMs - before.answeredAtMs} ms after an answer that lets the peer serve`
        : null;
    },
  },
  {
    law: '5 (I8)',
    breach: ({ record: before, link, settings }, event, { rule, server: { database, record } }) => {
      if (rule?.change?.includes('accept-lease') !== true || before.role === 'primary') return null;
      if (before.operation !== null || before.cause === 'fenced' || before.cause === 'boot') return null;
      if (before.failoverType !== 'automatic') return 'takes over by the lease without an order under another type';
      if (!before.armed) return 'takes over by the lease although it was not in sync when last seen';
      if (before.behind) return 'takes over by the lease although the peer served without it';
      if (link !== 'confirmed-lost') return 'takes over by the lease before the loss is confirmed';
      if (database?.lsn == null) return 'takes over by the lease without knowing where its data end';
      if (record.lastAutomaticFailoverAtMs !== event.atMs) return 'takes over by the lease and does not note when';
      const last = before.lastAutomaticFailoverAtMs;
      return last !== null && event.atMs - last < settings.minimumBetweenFailoversMs
        ? 'takes over by the lease within the hold-down'
        : null;
    },
  },
  {
    law: '5',
    breach: ({ record, witness, settings }, event, { rule }) => {
      const isTaken = rule?.change?.includes('take-role-alone') === true && !event.type.startsWith('operator-');
      return isTaken && settings.witness?.kind === 'gateway' && witness?.reachable !== true
        ? `takes over from ${record.state} although its router does not answer`
        : null;
    },
  },
  {
    law: '4',
    breach: (_, event, { server }) => {
      const { record } = server;
      if (!CLOSING_EVENTS.includes(event.type) || record.cause === 'boot' || !isServing(record)) return null;
      return hasNoRight(server, event.atMs) ? `goes on serving in ${record.state} without a right` : null;
    },
  },
  {
    law: '4',
    breach: (_, { atMs }, { server, effects }) => {
      const { record, settings } = server;
      if (settings.witness?.kind !== 'nats' || record.pairId === null || record.maintenance !== null) return null;
      const opens = effects?.some(({ kind }) => kind === 'open-database' || kind === 'promote-database') === true;
      // the first owner of a pair that is being registered has nobody beside it
      return opens && record.hold !== 0 && atMs >= rightUntilMs(server)
        ? 'opens service without a right to serve'
        : null;
    },
  },
  {
    law: '5',
    breach: ({ record: before }, event, { rule }) => {
      const change = rule?.change ?? [];
      if (before.maintenance === null || event.type.startsWith('operator-')) return null;
      const isOrdered = before.operation !== null || before.cause === 'fenced' || before.cause === 'boot';
      return change.includes('take-role-alone') || (change.includes('accept-lease') && !isOrdered)
        ? 'takes over by itself during maintenance'
        : null;
    },
  },
  {
    law: '4',
    breach: ({ record: before }, _, { rule }) =>
      before.maintenance !== null && rule?.change?.includes('fenced') === true
        ? 'closes itself during maintenance'
        : null,
  },
  {
    law: '7',
    breach: (_, event, { server: { record } }) => {
      const { maintenance, runId } = record;
      if (event.type !== 'tick' || maintenance === null || record.pairId === null) return null;
      if (record.state === 'ha-initializing') return null;
      const leftMs =
        maintenance.runId === runId ? maintenance.untilMs - event.atMs : maintenance.untilUnixMs - event.unixMs;
      const waitsMs = maintenance.minutes * 60_000 * (CLOCK_MARGIN - 1) + TIMING.maintenanceMarginMs;
      return leftMs < (isServing(record) ? 0 : -waitsMs) ? 'is in maintenance after its end' : null;
    },
  },
  {
    // whoever does not close itself in maintenance must have closed itself before the other may act: the one waits, the other does not
    law: '4',
    breach: ({ record: before }, event, { rule }) => {
      if (event.type !== 'tick' || before.maintenance === null || rule?.change?.includes('end-maintenance') !== true)
        return null;
      const { maintenance, runId } = before;
      const leftMs =
        maintenance.runId === runId ? maintenance.untilMs - event.atMs : maintenance.untilUnixMs - event.unixMs;
      if (leftMs > 0) return 'ends maintenance before its time';
      return !isServing(before) && leftMs > -TIMING.maintenanceMarginMs
        ? 'ends maintenance before an active peer has closed itself'
        : null;
    },
  },
];

/** With a witness two databases of a pair never take writes at the same time, or null. */
export function lawOfTwo({ minds, bodies }: World): string | null {
  const [p, s] = [minds[0].value, minds[1].value];
  if (p.settings.witness?.kind !== 'nats' || p.record.pairId === null || p.record.pairId !== s.record.pairId)
    return null;
  const writes = (side: Side) => bodies[side].value.power !== 'off' && bodies[side].value.mode === 'read-write';
  return writes(0) && writes(1)
    ? `the databases of both take writes: of the ${ROLES[0]} in ${p.record.state}, of the ${ROLES[1]} in ${s.record.state}`
    : null;
}

/** Until when a server may serve. */
function rightUntilMs({ peerGrantUntilMs, witness }: Server): number {
  return Math.max(peerGrantUntilMs, witness?.leaseUntilMs ?? 0);
}

function hasNoRight(server: Server, atMs: number): boolean {
  const { settings, record, link, witness } = server;
  if (record.pairId === null || record.maintenance !== null || settings.witness === null || record.hold === 0)
    return false;
  if (settings.witness.kind === 'gateway')
    return (link === 'lost' || link === 'confirmed-lost') && witness?.reachable === false;
  return atMs >= rightUntilMs(server) - settings.witness.fenceMs;
}
