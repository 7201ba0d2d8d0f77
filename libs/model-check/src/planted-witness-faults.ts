import { type Lease, LeaseKnowledge, TABLES } from '@understudy/ha-core';
import { JUMPS_MS, LEASE } from './clock-classes.ts';
import { PRODUCT } from './model.ts';
import { machineOf, type Plant, withGuard, withoutGuard, withRules } from './plant.ts';

const AUTO = 'protected-automatic-lease';
const MANUAL = 'protected-manual-lease';
const SWAPPED = 'swapped-automatic-lease';
const GATEWAY = 'protected-automatic-gateway';

const [STEP_MS] = JUMPS_MS;
const STEP = `${STEP_MS / 1000} s pass`;
const LEASE_OVER = [STEP, STEP, STEP];
/** The secondary asks for the lease at the end of these. */
const PRIMARY_DEAD = [
  'primary loses its power',
  'secondary does what it does every second',
  'secondary does what it does every second',
  ...LEASE_OVER,
];

/** Nobody waits for the end of anybody's lease. */
class Impatient extends LeaseKnowledge {
  override mayTake(): boolean {
    return true;
  }
}

/** A lease is believed to last longer than it does. */
class Lenient extends LeaseKnowledge {
  override taken(lease: Lease, askedAtMs: number): void {
    super.taken(lease, askedAtMs + LEASE.leaseMs);
  }
}

/** Whoever owns the role renews the lease, also when the other server has got it under a later epoch. */
class Stubborn extends LeaseKnowledge {
  override mayRenew(): boolean {
    return true;
  }
}

/** Faults in how a lease is asked for, given and kept. */
const LEASES: readonly Plant[] = [
  {
    name: 'automatic failover does not ask the witness',
    law: '4',
    from: AUTO,
    faults: 1,
    steps: [
      'primary loses its power',
      'secondary does what it does every second',
      'secondary does what it does every second',
    ],
    machine: withoutGuard('no-lease-needed', 'S-40'),
  },
  {
    name: 'a failover that the operator orders does not ask the witness',
    law: '4',
    from: MANUAL,
    faults: 2,
    steps: [
      'primary loses its power',
      'secondary does what it does every second',
      ...LEASE_OVER,
      'operator orders the failover',
    ],
    machine: withRules(['S-145'], (rule) => ({
      ...rule,
      to: 'secondary-failover',
      change: ['fail-operation', 'begin-operation', 'take-role-alone', 'disarm'],
      effects: ['promote-database', 'start-processes'],
    })),
  },
  {
    name: 'the role is taken while the lease is asked for',
    law: '4',
    from: AUTO,
    faults: 1,
    steps: PRIMARY_DEAD,
    machine: withRules(['S-140'], (rule) => ({
      ...rule,
      to: 'secondary-failover',
      change: ['take-role-alone', 'note-automatic-failover', 'disarm'],
      effects: ['acquire-lease', 'promote-database', 'start-processes'],
    })),
  },
  {
    name: 'a primary opens before the witness has answered',
    law: '4',
    from: MANUAL,
    faults: 2,
    steps: [
      'primary loses its power',
      'primary cannot send any more',
      'primary starts',
      ...Array.from({ length: 3 }, () => 'primary goes on with its effects'),
      ...LEASE_OVER,
      ...LEASE_OVER,
    ],
    machine: withRules(['P-146'], (rule) => ({
      ...rule,
      change: ['take-role'],
      effects: ['acquire-lease', 'open-database', 'start-processes'],
    })),
  },
  {
    name: 'an answer of the witness to another request counts',
    law: '6',
    from: AUTO,
    faults: 2,
    steps: [
      'primary loses its power',
      'secondary does what it does every second',
      'secondary does what it does every second',
      'secondary gets an answer of the witness of long ago',
    ],
    machine: withGuard('lease-given', (_, event) => event.type === 'lease-answered' && event.granted),
  },
  {
    name: 'a refusal of the witness counts as its lease',
    law: '4',
    from: AUTO,
    faults: 1,
    steps: [...PRIMARY_DEAD, 'secondary goes on with its effects', 'secondary goes on with its effects'],
    machine: {
      ...withGuard('lease-given', (server, event, real) =>
        event.type === 'lease-answered' ? real(server, { ...event, granted: true }) : real(server, event),
      ),
      knowledge: class extends LeaseKnowledge {
        override mayTake(): boolean {
          return false;
        }
      },
    },
  },
  {
    name: 'answers given to the peer do not count when the lease is taken',
    law: '4',
    from: AUTO,
    faults: 2,
    steps: [
      'primary cannot reach the witness',
      ...LEASE_OVER,
      'primary cannot send any more',
      'secondary does what it does every second',
      'secondary does what it does every second',
      'secondary goes on with its effects',
      'secondary goes on with its effects',
    ],
    machine: machineOf({
      ...TABLES,
      guards: {
        ...TABLES.guards,
        'lease-takeable': (server, event) => TABLES.guards['lease-takeable']({ ...server, answeredAtMs: 0 }, event),
        'lease-given': (server, event) => TABLES.guards['lease-given']({ ...server, answeredAtMs: 0 }, event),
      },
    }),
  },
  {
    name: 'the lease of the peer is taken before it has ended',
    law: '4',
    from: AUTO,
    faults: 1,
    steps: [
      'primary cannot send any more',
      'secondary does what it does every second',
      'secondary does what it does every second',
      ...LEASE_OVER,
      'secondary goes on with its effects',
      'secondary goes on with its effects',
    ],
    machine: {
      ...withGuard('lease-takeable', ({ witness, ...server }, event, real) =>
        real({ ...server, witness: witness && { ...witness, takeableAtMs: 0 } }, event),
      ),
      knowledge: Impatient,
    },
  },
  {
    name: 'a lease counts for longer than it lasts',
    law: '4',
    from: AUTO,
    faults: 2,
    steps: [
      'primary cannot send any more',
      'primary cannot reach the witness',
      ...LEASE_OVER,
      'secondary goes on with its effects',
      'secondary goes on with its effects',
    ],
    machine: { ...PRODUCT, knowledge: Lenient },
  },
  {
    name: 'a lease is renewed that the peer has',
    law: '4',
    from: AUTO,
    faults: 2,
    steps: [
      'primary has a manager that stands still',
      ...PRIMARY_DEAD.slice(1),
      ...Array.from({ length: 5 }, () => 'secondary goes on with its effects'),
      'primary has its manager again',
      'primary looks at the witness',
      'primary looks at its database',
    ],
    machine: { ...PRODUCT, knowledge: Stubborn },
  },
];

/** Faults in how a server closes itself that may not serve any longer. */
const CLOSING: readonly Plant[] = [
  {
    name: 'a primary that is cut off does not close itself',
    law: '4',
    from: AUTO,
    faults: 2,
    steps: ['primary cannot send any more', 'primary cannot reach the witness', STEP],
    machine: withRules(['P-140'], () => null),
  },
  {
    name: 'an active secondary that is cut off does not close itself',
    law: '4',
    from: SWAPPED,
    faults: 2,
    steps: ['primary cannot send any more', 'secondary cannot reach the witness', STEP],
    machine: withRules(['S-146'], () => null),
  },
  {
    name: 'a server that is cut off closes itself when its right is over, without a margin',
    law: '4',
    from: AUTO,
    faults: 2,
    steps: ['primary cannot send any more', 'primary cannot reach the witness', STEP],
    machine: withGuard('isolated', (server, event, real) => real(server, { ...event, atMs: event.atMs - STEP_MS })),
  },
  {
    name: 'an active server whose router does not answer goes on serving',
    law: '4',
    from: GATEWAY,
    faults: 2,
    steps: [
      'primary cannot send any more',
      'primary cannot reach the witness',
      'primary does what it does every second',
    ],
    machine: withRules(['P-140'], () => null),
  },
  {
    name: 'a server takes over although its router does not answer',
    law: '5',
    from: GATEWAY,
    faults: 2,
    steps: [
      'secondary cannot reach the witness',
      'primary loses its power',
      'secondary does what it does every second',
      'secondary does what it does every second',
    ],
    machine: withGuard('automatic-failover-armed', ({ witness, ...server }, event, real) =>
      real({ ...server, witness: witness && { ...witness, reachable: true } }, event),
    ),
  },
];

/** Faults in planned work. */
const MAINTENANCE: readonly Plant[] = [
  {
    name: 'maintenance without an end',
    law: '7',
    from: 'protected-automatic',
    faults: 1,
    steps: ['operator begins maintenance on the secondary', ...LEASE_OVER],
    machine: withRules(['S-132'], () => null),
  },
  {
    name: 'maintenance leaves the automatic failover armed',
    law: '5',
    from: 'protected-automatic',
    faults: 2,
    steps: [
      'operator begins maintenance on the primary',
      'primary loses its power',
      'secondary does what it does every second',
      'secondary does what it does every second',
    ],
    machine: withGuard('automatic-failover-armed', (server, event, real) =>
      real({ ...server, record: { ...server.record, maintenance: null } }, event),
    ),
  },
  {
    name: 'a server that is cut off closes itself during maintenance',
    law: '4',
    from: AUTO,
    faults: 3,
    steps: [
      'operator begins maintenance on the primary',
      'primary cannot send any more',
      'primary cannot reach the witness',
      STEP,
    ],
    machine: withGuard('isolated', (server, event, real) =>
      real({ ...server, record: { ...server.record, maintenance: null } }, event),
    ),
  },
  {
    name: 'maintenance ends on both servers at the same time',
    law: '4',
    from: AUTO,
    faults: 1,
    steps: ['operator begins maintenance on the secondary', STEP],
    machine: withGuard('maintenance-over', ({ record }, event, real) =>
      record.maintenance !== null && event.type === 'tick'
        ? event.atMs >= record.maintenance.untilMs
        : real({ record } as Parameters<typeof real>[0], event),
    ),
  },
];

/** Faults in the third vote and in planned work. */
export const PLANTED_WITNESS_FAULTS: readonly Plant[] = [...LEASES, ...CLOSING, ...MAINTENANCE];
