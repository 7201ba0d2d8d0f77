import { type Server, TIMING } from '@understudy/ha-core';
import { type Plant, withChange, withEvents, withGuard, withoutChange, withoutGuard, withRules } from './plant.ts';
import { PLANTED_WITNESS_FAULTS } from './planted-witness-faults.ts';

const AUTO = 'protected-automatic';
const MANUAL = 'protected-manual';
const SWAPPED = 'swapped-manual';

/** Faults in what is asked before a role is taken. */
const TAKING: readonly Plant[] = [
  {
    name: 'automatic failover does not ask whether it is armed',
    law: '5',
    from: MANUAL,
    faults: 1,
    machine: withoutGuard('automatic-failover-armed', 'S-40'),
  },
  {
    name: 'automatic failover at the first missed beats',
    law: '5',
    from: AUTO,
    faults: 1,
    machine: withRules(['S-40'], (rule) => ({
      ...rule,
      on: [...rule.on, 'peer-lost'],
      when: ['idle', 'automatic-failover-armed'],
    })),
  },
  {
    name: 'automatic failover under the manual type',
    law: '5',
    from: MANUAL,
    faults: 1,
    machine: withGuard('automatic-failover-armed', ({ record }) => record.complete),
  },
  {
    name: 'automatic failover whatever is missing',
    law: '5',
    from: AUTO,
    faults: 1,
    machine: withGuard(
      'automatic-failover-armed',
      ({ record, database }) => record.armed && record.failoverType === 'automatic' && database?.lsn != null,
    ),
  },
  {
    name: 'automatic failover without a known position',
    law: '5',
    from: AUTO,
    faults: 2,
    machine: withGuard('automatic-failover-armed', ({ record }) => record.armed && record.failoverType === 'automatic'),
  },
  {
    name: 'a failover that the operator orders although the link is up',
    law: '4',
    from: MANUAL,
    faults: 2,
    steps: [
      'primary loses a process for good',
      'secondary does what it does every second',
      'operator orders the failover',
    ],
    machine: withoutGuard('link-lost', 'S-42'),
  },
  {
    name: 'the primary serves alone as soon as it has started',
    law: '6',
    from: MANUAL,
    faults: 1,
    machine: withRules(['P-3'], (rule) => ({
      ...rule,
      to: 'primary-lost-secondary',
      effects: ['open-database', 'start-processes'],
    })),
  },
  {
    name: 'the primary takes the role alone when it misses the secondary',
    law: '5',
    from: MANUAL,
    faults: 2,
    steps: [
      'primary loses its power',
      'primary starts',
      'primary goes on with its effects',
      'primary goes on with its effects',
      'primary goes on with its effects',
      'primary cannot send any more',
      'primary does what it does every second',
    ],
    machine: withRules(['P-78'], (rule) => ({ ...rule, on: ['tick'] })),
  },
  {
    name: 'the secondary serves after a start without a search',
    law: '6',
    from: SWAPPED,
    faults: 2,
    machine: withoutGuard('boot-search-over', 'S-61'),
  },
  {
    name: 'a secondary that owned the role opens service at its start',
    law: '6',
    from: SWAPPED,
    faults: 1,
    machine: withRules(['S-4'], (rule) => ({ ...rule, effects: ['open-database', 'start-processes'] })),
  },
];

/** Faults in the giving and taking of consent. */
const CONSENT: readonly Plant[] = [
  {
    name: 'consent to an older epoch',
    law: '4',
    from: MANUAL,
    faults: 2,
    machine: withGuard(
      'may-consent',
      (server, event, real) =>
        event.type === 'consent-requested' && real(server, { ...event, epoch: event.epoch + 20 }),
    ),
  },
  {
    name: 'consent keeps the role',
    law: '4',
    from: MANUAL,
    faults: 1,
    machine: withChange('give-consent', ({ record, ...rest }, event, real) => ({
      ...real({ record, ...rest }, event),
      hold: record.hold,
    })),
  },
  {
    name: 'consent is not kept',
    law: '4',
    from: MANUAL,
    faults: 1,
    machine: withChange('give-consent', (s, e, real) => ({ ...real(s, e), promised: null })),
  },
  {
    name: 'consent does not keep its epoch',
    law: '4',
    from: MANUAL,
    faults: 1,
    machine: withChange('give-consent', (s, e, real) => ({ ...real(s, e), epoch: s.record.epoch })),
  },
  {
    name: 'consent leaves the standby armed',
    law: '4',
    from: AUTO,
    faults: 2,
    machine: withChange('give-consent', (s, e, real) => ({ ...real(s, e), armed: s.record.armed })),
  },
  {
    name: 'consent expires for its giver before its taker',
    law: '4',
    from: MANUAL,
    faults: 1,
    machine: withChange('give-consent', (s, e, real) => {
      const { promised, ...rest } = real(s, e);
      return {
        ...rest,
        promised: promised == null ? null : { ...promised, untilMs: e.atMs + TIMING.abandonedAfterMs },
      };
    }),
  },
  {
    name: 'a refusal counts as a consent',
    law: '4',
    from: MANUAL,
    faults: 2,
    machine: withGuard(
      'consent-given',
      (s, e, real) => e.type === 'consent-answered' && real(s, { ...e, granted: true }),
    ),
  },
  {
    name: 'the answer to any request counts',
    law: '4',
    from: MANUAL,
    faults: 3,
    machine: withGuard(
      'consent-given',
      (s, e, real) => e.type === 'consent-answered' && real(s, { ...e, nonce: s.record.request?.nonce ?? '' }),
    ),
  },
  {
    name: 'a consent that came too late counts',
    law: '4',
    from: MANUAL,
    faults: 2,
    steps: [
      'primary loses its power',
      'primary starts',
      'primary goes on with its effects',
      'primary goes on with its effects',
      'primary goes on with its effects',
      'primary does what it does every second',
      'primary goes on with its effects',
      'message 1 arrives',
      '31 s pass in which nobody does anything',
      'message 1 arrives',
    ],
    machine: withEvents((event, { record }) =>
      event.type === 'consent-answered' && record.request ? { ...event, atMs: record.request.sentAtMs } : event,
    ),
  },
  {
    name: 'the consent is taken under no epoch of its own',
    law: '4',
    from: MANUAL,
    faults: 1,
    machine: withChange('accept-consent', (s, e, real) => ({ ...real(s, e), hold: s.record.lineage })),
  },
  {
    name: 'the role is asked for under the old epoch',
    law: '3',
    from: MANUAL,
    faults: 1,
    machine: withChange('ask-consent', (s, e, real) => {
      const asked = real(s, e);
      return {
        ...asked,
        epoch: s.record.epoch,
        request: asked.request ? { ...asked.request, epoch: s.record.epoch } : null,
      };
    }),
  },
  {
    name: 'the asking epoch is not persisted',
    law: '3',
    from: MANUAL,
    faults: 1,
    machine: withChange('ask-consent', (s, e, real) => ({ ...real(s, e), epoch: s.record.epoch })),
  },
  {
    name: 'the last record of the old active server is not waited for',
    law: '5',
    from: MANUAL,
    faults: 2,
    steps: [
      'operator orders the forced failover',
      'secondary goes on with its effects',
      'message 1 arrives',
      'primary takes a write',
      'secondary has a database that hangs',
      'message 1 arrives',
      'secondary goes on with its effects',
      'primary goes on with its effects',
      'primary goes on with its effects',
      'primary goes on with its effects',
      'secondary does what it does every second',
      'secondary goes on with its effects',
      'message 1 arrives',
      'message 1 arrives',
    ],
    machine: withRules(['S-50'], (rule) => ({ ...rule, effects: ['request-consent'] })),
  },
];

/** Faults in effects and labels. */
const EFFECTS: readonly Plant[] = [
  {
    name: 'a hand-over leaves the application running',
    law: '4',
    from: MANUAL,
    faults: 1,
    machine: withRules(['P-40'], (rule) => ({ ...rule, effects: ['stop-database'] })),
  },
  {
    name: 'a failback leaves the application running',
    law: '4',
    from: SWAPPED,
    faults: 1,
    machine: withRules(['S-80'], (rule) => ({ ...rule, effects: ['stop-database'] })),
  },
  {
    name: 'the secondary promotes without the role',
    law: '6',
    from: MANUAL,
    faults: 1,
    machine: withoutChange('accept-consent', 'S-51'),
  },
  {
    name: 'the primary opens service without the role',
    law: '6',
    from: MANUAL,
    faults: 1,
    machine: withoutChange('accept-consent', 'P-72'),
  },
  {
    name: 'an automatic failover promotes without the role',
    law: '6',
    from: AUTO,
    faults: 1,
    machine: withoutChange('take-role-alone', 'S-40'),
  },
  {
    name: 'an active secondary is shown as a standby',
    law: '6',
    from: AUTO,
    faults: 1,
    machine: withRules(['S-53'], (rule) => ({ ...rule, to: 'secondary-syncing' })),
  },
  {
    name: 'an active primary is shown as a standby',
    law: '6',
    from: MANUAL,
    faults: 1,
    machine: withRules(['P-74', 'P-75', 'P-76', 'P-77'], (rule) => ({ ...rule, to: 'primary-syncing' })),
  },
  {
    name: 'a standby starts the application at its start',
    law: '6',
    from: MANUAL,
    faults: 1,
    machine: withRules(['S-6'], (rule) => ({ ...rule, effects: ['stop-database', 'start-processes'] })),
  },
  {
    name: 'a secondary of no pair starts the application',
    law: '6',
    from: 'installed',
    faults: 1,
    machine: withRules(['S-1'], (rule) => ({ ...rule, effects: ['start-processes'] })),
  },
  {
    name: 'a row leads to a state of the other role',
    law: '1',
    from: AUTO,
    faults: 1,
    machine: withRules(['S-53'], (rule) => ({ ...rule, to: 'primary-active' })),
  },
  {
    name: 'a change lowers the epoch',
    law: '1',
    from: MANUAL,
    faults: 1,
    machine: withChange('clear-cause', () => ({ epoch: 0 })),
  },
  {
    name: 'a change writes into what it was given',
    law: '1',
    from: MANUAL,
    faults: 1,
    machine: withChange('clear-cause', ({ settings }) => {
      Object.assign(settings, { maximumLagBytes: 7 });
      return { cause: null };
    }),
  },
];

/** Faults in epochs and records. */
const EPOCHS: readonly Plant[] = [
  {
    name: 'a takeover does not bump the epoch',
    law: '3',
    from: AUTO,
    faults: 1,
    machine: withChange('take-role-alone', (s, e, real) => ({
      ...real(s, e),
      epoch: s.record.epoch,
      hold: s.record.epoch,
    })),
  },
  {
    name: 'a takeover takes the other parity',
    law: '3',
    from: AUTO,
    faults: 1,
    machine: withChange('take-role-alone', (s, e, real) => {
      const { hold = 0, ...rest } = real(s, e);
      return { ...rest, epoch: hold + 1, hold: hold + 1 };
    }),
  },
  {
    name: 'a takeover is not in the epoch that is known',
    law: '3',
    from: AUTO,
    faults: 1,
    machine: withChange('take-role-alone', (s, e, real) => ({ ...real(s, e), epoch: s.record.epoch })),
  },
  {
    name: 'a higher epoch of the peer is not remembered',
    law: '3',
    from: MANUAL,
    faults: 1,
    machine: withEvents((event, { record }) =>
      event.type === 'peer-heard'
        ? {
            ...event,
            status: { ...event.status, epoch: record.epoch, hold: Math.min(event.status.hold, record.epoch) },
          }
        : event,
    ),
  },
  {
    name: 'the old active server does not step down',
    law: '3',
    from: AUTO,
    faults: 2,
    machine: withRules(['P-8'], () => null),
  },
  {
    name: 'stepping down keeps the role',
    law: '5',
    from: AUTO,
    faults: 2,
    steps: [
      'primary loses its manager',
      'secondary does what it does every second',
      'secondary does what it does every second',
      'primary starts',
      'primary does what it does every second',
      'primary goes on with its effects',
      'primary goes on with its effects',
      'primary fails a full copy',
    ],
    machine: withChange('superseded', (s, e, real) => ({ ...real(s, e), hold: s.record.hold })),
  },
  {
    name: 'stepping down does not stop the database',
    law: '4',
    from: AUTO,
    faults: 2,
    machine: withRules(['P-8'], (rule) => ({ ...rule, effects: ['stop-processes'] })),
  },
  {
    name: 'stepping down does not stop the application',
    law: '4',
    from: AUTO,
    faults: 2,
    machine: withRules(['P-8'], (rule) => ({ ...rule, effects: ['stop-database', 'follow-peer'] })),
  },
  {
    name: 'effects start that the record does not have',
    law: '2',
    from: MANUAL,
    faults: 1,
    machine: withEvents(
      (event) => event,
      (server, event) => (event.type === 'tick' ? server : { ...server, record: { ...server.record, inFlight: null } }),
    ),
  },
  {
    name: 'the outcome of a superseded decision counts',
    law: '2',
    from: MANUAL,
    faults: 2,
    machine: withEvents((event, { record }) =>
      event.type === 'effects-completed' && record.inFlight
        ? { ...event, decisionId: record.inFlight.decisionId }
        : event,
    ),
  },
  {
    name: 'the end of an effect counts as service opened',
    law: '6',
    from: MANUAL,
    faults: 1,
    machine: withEvents(
      (event) => event,
      (server, event) =>
        event.type === 'effects-completed' ? { ...server, record: { ...server.record, opened: true } } : server,
    ),
  },
];

/** Faults in what is known of the own data. */
const DATA: readonly Plant[] = [
  {
    name: 'the first owner does not know that its data are its own',
    law: '5',
    from: AUTO,
    faults: 2,
    steps: [
      'primary takes a write',
      'primary loses its manager',
      'secondary does what it does every second',
      'secondary does what it does every second',
      'primary starts',
      'primary does what it does every second',
      'secondary fails an effect after it has worked',
    ],
    machine: withoutChange('data-are-own', 'P-12'),
  },
];

/** Faults in what follows after, and in the ways out. */
const AFTER: readonly Plant[] = [
  {
    name: 'arming is not cleared at a start',
    law: '5',
    from: AUTO,
    faults: 2,
    machine: withChange('note-boot', (s, e, real) => {
      const { armed: _, ...rest } = real(s, e);
      return rest;
    }),
  },
  {
    name: 'the hold-down is not kept',
    law: '5',
    from: AUTO,
    faults: 3,
    machine: withoutChange('note-automatic-failover', 'S-40', 'S-41'),
  },
  {
    name: 'a failback that begins by itself',
    law: '7',
    from: SWAPPED,
    faults: 0,
    machine: withRules(['S-70'], (rule) => ({ ...rule, on: ['tick'] })),
  },
  {
    name: 'the primary never follows after a start',
    law: '7',
    from: MANUAL,
    faults: 2,
    machine: withRules(['P-87', 'P-70'], () => null),
  },
  {
    name: 'the secondary never follows again',
    law: '7',
    from: MANUAL,
    faults: 1,
    machine: withRules(['S-31'], () => null),
  },
  {
    name: 'a hand-over that is given up is never undone',
    law: '7',
    from: MANUAL,
    faults: 2,
    machine: withRules(['P-54', 'P-55', 'P-56', 'P-57'], () => null),
  },
  {
    name: 'a hand-over without an end in time',
    law: '7',
    from: MANUAL,
    faults: 2,
    machine: withRules(['S-56', 'S-57', 'S-58', 'S-59'], () => null),
  },
  {
    name: 'nobody asks for the role when nobody owns it',
    law: '7',
    from: MANUAL,
    faults: 1,
    machine: withRules(['P-71'], () => null),
  },
  {
    name: 'a failed opening is never tried again',
    law: '7',
    from: MANUAL,
    faults: 2,
    steps: [
      'primary loses its power',
      'primary starts',
      'primary goes on with its effects',
      'primary goes on with its effects',
      'primary goes on with its effects',
      'primary does what it does every second',
      'primary goes on with its effects',
      'message 1 arrives',
      'message 1 arrives',
      'primary fails an effect before it works',
    ],
    machine: withRules(['P-45'], () => null),
  },
  {
    name: 'the active secondary is never followed again after a broken copy',
    law: '7',
    from: SWAPPED,
    faults: 2,
    steps: [
      'primary misses a peer that lives',
      'primary does what it does every second',
      'primary goes on with its effects',
      'primary goes on with its effects',
      'primary fails a full copy',
    ],
    machine: withRules(['P-91'], () => null),
  },
  {
    name: 'a failed registration is not cleaned up',
    law: '7',
    from: 'installed',
    faults: 2,
    machine: withRules(['P-14', 'P-16', 'P-18'], () => null),
  },
  {
    name: 'a secondary whose registration failed keeps its part',
    law: '7',
    from: 'installed',
    faults: 2,
    machine: withRules(['S-15', 'S-16', 'S-17'], () => null),
  },
  {
    name: 'a registered pair is never complete',
    law: '7',
    from: 'installed',
    faults: 1,
    machine: withRules(['P-12'], () => null),
  },
];

/** Faults in what a server does that has lost its record, and its peer. */
const LOST: readonly Plant[] = [
  {
    name: 'a standby asks a server that has lost its record, and takes what that does not know to be its own',
    law: '5',
    from: MANUAL,
    faults: 1,
    machine: withGuard('own-data-newer', (server, event, real) => real(withoutDoubtOfPeer(server), event)),
  },
  {
    name: 'a primary that has lost its record believes at once that it has nothing',
    law: '5',
    from: MANUAL,
    faults: 1,
    machine: withRules(['P-109'], (rule) => ({ ...rule, change: [...(rule.change ?? []), 'believe-peer'] })),
  },
  {
    name: 'a secondary that has lost its record believes at once that it has nothing',
    law: '5',
    from: SWAPPED,
    faults: 1,
    machine: withRules(['S-149'], (rule) => ({ ...rule, change: [...(rule.change ?? []), 'believe-peer'] })),
  },
  {
    name: 'a primary asks a secondary that has lost its record',
    law: '5',
    from: SWAPPED,
    faults: 1,
    machine: withGuard('peer-not-ahead', (server, event, real) => real(withoutDoubtOfPeer(server), event)),
  },
  {
    name: 'a registration within which a record was lost is not given up',
    law: '7',
    from: 'installed',
    faults: 2,
    machine: withRules(['P-181', 'S-181'], () => null),
  },
];

/** The server as if the record of its peer were whole. */
function withoutDoubtOfPeer(server: Server): Server {
  return { ...server, peer: server.peer && { ...server.peer, doubted: false } };
}

/** Every planted fault. The check of the checker: each must be found, by the law that it breaks. */
export const PLANTED_FAULTS: readonly Plant[] = [
  ...TAKING,
  ...CONSENT,
  ...EFFECTS,
  ...EPOCHS,
  ...DATA,
  ...AFTER,
  ...LOST,
  ...PLANTED_WITNESS_FAULTS,
];
