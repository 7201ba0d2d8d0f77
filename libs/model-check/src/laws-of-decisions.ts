import { type Decision, type HaEvent, type HaState, isServing, type Server, TIMING } from '@understudy/ha-core';
import { LAWS_OF_WITNESS } from './laws-of-witness.ts';

/** A law of the design that does not hold, and how. */
export interface BrokenLaw {
  /** Number of the law in the design, with the invariant that makes it precise where there is one: `5 (I5)`. */
  readonly law: string;
  readonly says: string;
}

/** States in which a server may serve (I12): at rest, opening, or on the way out of it. */
const SERVING_STATES: readonly HaState[] = [
  'ha-not-configured',
  'ha-initializing',
  'primary-active',
  'primary-lost-secondary',
  'primary-uncertain',
  'primary-alone',
  'primary-failback',
  'secondary-active',
  'secondary-uncertain',
  'secondary-failover',
  'secondary-failback',
];

const OPENING = ['open-database', 'promote-database', 'start-processes'];

/** The first law that a decision breaks by what one server knows alone, or null. Written down anew: no guard of the product is used. */
export function lawOfDecision(before: Server, event: HaEvent, decision: Decision): BrokenLaw | null {
  for (const law of [...LAWS, ...LAWS_OF_WITNESS]) {
    const says = law.breach(before, event, decision);
    if (says !== null) return { law: law.law, says: `${decision.rule?.id ?? event.type}: ${says}` };
  }
  return null;
}

/** One law, and what breaks it in a decision. */
export interface LawOfDecision {
  readonly law: string;
  readonly breach: (before: Server, event: HaEvent, decision: Decision) => string | null;
}

const LAWS: readonly LawOfDecision[] = [
  {
    law: '2',
    breach: (_, __, { server, effects, decisionId }) =>
      effects === null || effects.length === 0
        ? null
        : server.record.inFlight?.decisionId === decisionId && sameKinds(server.record.inFlight?.effects, effects)
          ? null
          : 'effects start that the record does not explain',
  },
  {
    law: '3 (I2)',
    breach: (before, _, { server }) =>
      server.record.epoch < before.record.epoch
        ? `the epoch falls from ${before.record.epoch} to ${server.record.epoch}`
        : null,
  },
  {
    law: '3 (I2)',
    breach: (_, __, { server: { record } }) =>
      record.hold === 0
        ? null
        : record.hold > record.epoch || record.lineage > record.epoch
          ? `owns ${record.hold} and has data of ${record.lineage}, beyond the epoch ${record.epoch} that it knows`
          : record.hold % 2 !== (record.role === 'primary' ? 1 : 0)
            ? `owns an epoch of the other server's parity: ${record.hold}`
            : null,
  },
  {
    law: '3 (I3)',
    breach: ({ record: before }, _, { server: { record } }) => {
      if (record.hold === 0 || record.hold === before.hold) return null;
      const isRequested = before.request?.epoch === record.hold && before.epoch === record.hold;
      if (record.hold <= before.epoch && !isRequested)
        return `takes the epoch ${record.hold} although it knew of ${before.epoch}`;
      return before.promised !== null && record.hold <= before.promised.epoch
        ? `takes the epoch ${record.hold} after it has promised ${before.promised.epoch}`
        : null;
    },
  },
  {
    law: '3 (I1a)',
    breach: (_, event, { server: { record } }) =>
      event.type === 'peer-heard' &&
      record.pairId !== null &&
      event.status.pairId === record.pairId &&
      record.hold !== 0 &&
      event.status.hold > record.hold &&
      isServing(record)
        ? `goes on serving under ${record.hold} after it has heard of the owner of ${event.status.hold}`
        : null,
  },
  {
    law: '3',
    breach: (before, event, { server: { record } }) =>
      event.type === 'peer-heard' &&
      before.record.pairId !== null &&
      event.status.pairId === before.record.pairId &&
      record.epoch < Math.max(event.status.epoch, event.status.hold)
        ? `hears of epoch ${Math.max(event.status.epoch, event.status.hold)} and keeps ${record.epoch}`
        : null,
  },
  {
    law: '3',
    breach: ({ record: before }, _, { server: { record } }) => {
      const { request } = record;
      if (request === null || request.epoch === before.request?.epoch) return null;
      if (request.epoch > record.epoch) return `asks for epoch ${request.epoch}, which its record does not know`;
      return request.epoch <= before.epoch ? `asks for epoch ${request.epoch}, which was known before` : null;
    },
  },
  {
    law: '5 (I8)',
    breach: (_, event, { rule, server: { record } }) => {
      if (event.type === 'boot' && !event.sameRun && record.armed) return 'is armed at once after a start';
      const isAutomatic = rule?.change?.includes('take-role-alone') === true && !event.type.startsWith('operator-');
      return isAutomatic && record.lastAutomaticFailoverAtMs !== event.atMs
        ? 'takes over and does not note when: no hold-down follows'
        : null;
    },
  },
  {
    law: '4 (I3)',
    breach: ({ record: before }, { atMs, type }, { rule, server: { record } }) =>
      record.hold !== 0 &&
      record.hold !== before.hold &&
      rule?.change?.includes('accept-consent') !== true &&
      before.promised !== null &&
      atMs < before.promised.untilMs
        ? `takes the role alone on ${type} while a consent that it gave is valid`
        : null,
  },
  {
    law: '4',
    breach: ({ record: before }, event, { rule, server: { record } }) => {
      if (rule?.change?.includes('give-consent') !== true) return null;
      if (before.opened) return 'gives its consent while it serves';
      if (record.hold !== 0) return 'gives its consent and keeps the role';
      if (record.request !== null) return 'gives its consent and goes on asking for the role';
      if (record.armed) return 'gives its consent and stays armed';
      if (event.type !== 'consent-requested') return 'gives a consent that nobody asked for';
      if (event.epoch < before.epoch) return `consents to ${event.epoch} although it knows of ${before.epoch}`;
      if (record.epoch < event.epoch) return `does not keep the epoch ${event.epoch} that it consents to`;
      const validMs = (record.promised?.untilMs ?? 0) - event.atMs;
      return validMs < TIMING.consentLifetimeMs + TIMING.consentMarginMs
        ? `would act alone ${validMs} ms after its consent, within the right of the one who has it`
        : null;
    },
  },
  {
    law: '4',
    breach: ({ record: before }, event, { rule, server: { record } }) => {
      if (rule?.change?.includes('accept-consent') !== true) return null;
      const { request } = before;
      if (event.type !== 'consent-answered' || !event.granted) return 'takes a consent that was not given';
      if (request === null || request.nonce !== event.nonce) return 'takes the answer to another request';
      if (event.atMs - request.sentAtMs > TIMING.consentLifetimeMs + 1) return 'takes a consent that is too old';
      if (record.hold !== request.epoch) return `takes ${record.hold} by a consent to ${request.epoch}`;
      return null;
    },
  },
  {
    law: '4',
    breach: ({ record: before }, _, { rule, server: { link, peer } }) => {
      const changes = rule?.change ?? [];
      if (changes.includes('take-role-alone') && link !== 'lost' && link !== 'confirmed-lost')
        return 'takes the role alone although the peer is not lost';
      return changes.includes('take-role') && link === 'up' && peer !== null && peer.hold > before.hold
        ? 'opens service again although the peer owns a later epoch'
        : null;
    },
  },
  {
    law: '5 (I8)',
    breach: ({ record: before }, event, { rule, server: { link, database, settings } }) => {
      if (rule?.change?.includes('take-role-alone') !== true || event.type.startsWith('operator-')) return null;
      if (before.role === 'primary') return 'the primary takes the role alone without an order (I7)';
      if (before.failoverType !== 'automatic') return 'takes over without an order although the type is manual';
      if (!before.armed) return 'takes over although it was not in sync when last seen';
      if (link !== 'confirmed-lost') return 'takes over before the loss is confirmed';
      if (database?.lsn == null) return 'takes over without knowing where its data end';
      const last = before.lastAutomaticFailoverAtMs;
      return last !== null && event.atMs - last < settings.minimumBetweenFailoversMs
        ? 'takes over within the hold-down'
        : null;
    },
  },
  {
    law: '5',
    breach: ({ record: before }, event, { rule }) =>
      rule?.change?.includes('take-role-alone') === true &&
      before.behind &&
      !('acceptDataLoss' in event && event.acceptDataLoss)
        ? 'takes the role alone although the peer served without it'
        : null,
  },
  {
    law: '5 (I6)',
    breach: (_, __, { server: { record } }) =>
      record.hold !== 0 && !record.complete ? 'owns the role although its copy is not whole' : null,
  },
  {
    law: '6',
    breach: ({ record: before }, event, { server: { record }, effects }) => {
      if (event.type !== 'boot' || event.sameRun || before.pairId === null || record.pairId === null) return null;
      if (isServing(record)) return 'serves at once after a start';
      return effects?.some(({ kind }) => OPENING.includes(kind)) ? 'opens service at once after a start' : null;
    },
  },
  {
    law: '6',
    breach: (_, __, { server: { record }, effects }) =>
      effects?.some(({ kind }) => OPENING.includes(kind)) && record.pairId !== null && record.hold === 0
        ? record.role === 'primary' && record.state === 'ha-initializing'
          ? null
          : 'opens service although it does not own the role'
        : null,
  },
  {
    law: '6 (I12)',
    breach: (_, __, { server: { record } }) =>
      isServing(record) && !SERVING_STATES.includes(record.state) ? `serves in ${record.state}` : null,
  },
  {
    law: '7 (I7)',
    breach: ({ record: before }, event, { server: { record } }) =>
      record.state === 'secondary-failback' && before.state !== record.state && event.type !== 'operator-failback'
        ? 'begins a failback that nobody ordered'
        : null,
  },
];

function sameKinds(a: readonly { kind: string }[] | undefined, b: readonly { kind: string }[]): boolean {
  return a !== undefined && a.length === b.length && a.every(({ kind }, index) => kind === b[index]?.kind);
}
