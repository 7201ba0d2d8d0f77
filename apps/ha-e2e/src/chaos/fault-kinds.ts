import type { Layout } from '../real-pair/understudy-server.ts';

/** Whose fault it is: the server that is active, or the one that stands by, when the fault begins. */
export type Side = 'active' | 'standby';

/** What is done. Each has its end: see `strike.ts`. */
export type FaultAct =
  | 'kill'
  | 'freeze'
  | 'cut-link'
  | 'cut-link-silently'
  | 'lose-outgoing'
  | 'lose-incoming'
  | 'part-servers'
  | 'kill-witness'
  | 'freeze-witness'
  | 'wipe-witness'
  | 'fill-disk'
  | 'lose-node-store'
  | 'lose-journal'
  | 'lose-record'
  | 'switch'
  | 'maintenance';

/** One kind of fault. */
export interface FaultKind {
  /** Names it in schedules and reports. */
  readonly name: string;
  readonly act: FaultAct;
  /** What is killed or frozen; '' for the other acts. */
  readonly part: string;
  /** Shortest and longest time between its begin and its end. 0: the server itself mends it. */
  readonly seconds: readonly [number, number];
  /** The one side that it makes sense for; both when left out. */
  readonly on?: Side;
}

const SERVICES: Readonly<Record<Layout, readonly string[]>> = {
  separate: [
    'health-monitor',
    'heartbeat',
    'db-replication',
    'api-gateway',
    'file-sync',
    'readiness-checker',
    'notifier',
    'patch-manager',
  ],
  composed: ['composed'],
};
const PROGRAMS = ['postgres', 'nats-server', 'redis-server'] as const;

/** Part names that are not those of a service. */
export const WHOLE_SERVER = 'server';
export const RUNNER = 'runner';
export const WAL_RECEIVER = 'walreceiver';
/** Runs where the server is active. */
export const APPLICATION = 'application';

const WITNESS_KINDS: readonly FaultKind[] = [
  { name: 'part the servers', act: 'part-servers', part: '', seconds: [2, 40] },
  { name: 'kill the witness', act: 'kill-witness', part: '', seconds: [2, 30] },
  { name: 'freeze the witness', act: 'freeze-witness', part: '', seconds: [2, 20] },
  { name: 'wipe the witness', act: 'wipe-witness', part: '', seconds: [1, 10] },
];

/** Every kind of fault that a pair of that layout can suffer, with a witness or without one. */
export function faultKindsFor(pair: { readonly layout: Layout; readonly hasWitness: boolean }): readonly FaultKind[] {
  const services = SERVICES[pair.layout];
  const kill = (part: string, seconds: FaultKind['seconds'] = [0, 0], on?: Side): FaultKind => ({
    name: `kill ${part}`,
    act: 'kill',
    part,
    seconds,
    ...(on ? { on } : {}),
  });
  const freeze = (part: string, on?: Side): FaultKind => ({
    name: `freeze ${part}`,
    act: 'freeze',
    part,
    seconds: [1, 20],
    ...(on ? { on } : {}),
  });
  const link = (name: string, act: FaultAct): FaultKind => ({ name, act, part: '', seconds: [2, 40] });
  return [
    ...[...services, ...PROGRAMS, RUNNER].map((part) => kill(part)),
    kill(APPLICATION, [0, 0], 'active'),
    kill(WHOLE_SERVER, [2, 30]),
    ...[...services, ...PROGRAMS, RUNNER, WHOLE_SERVER].map((part) => freeze(part)),
    freeze(APPLICATION, 'active'),
    freeze(WAL_RECEIVER, 'standby'),
    link('cut the link', 'cut-link'),
    link('cut the link silently', 'cut-link-silently'),
    link('lose what is sent', 'lose-outgoing'),
    link('lose what is received', 'lose-incoming'),
    ...(pair.hasWitness ? WITNESS_KINDS : []),
    { name: 'fill the disk', act: 'fill-disk', part: '', seconds: [5, 30] },
    { name: 'lose the node store', act: 'lose-node-store', part: '', seconds: [0, 0] },
    { name: 'lose the journal', act: 'lose-journal', part: '', seconds: [0, 0] },
    { name: 'lose journal and node store', act: 'lose-record', part: '', seconds: [2, 30] },
    { name: 'order a switch', act: 'switch', part: '', seconds: [0, 0] },
    { name: 'order maintenance', act: 'maintenance', part: '', seconds: [5, 30] },
  ];
}

/** What is not tried on this machine, and why. For the report. */
export const NOT_TRIED: readonly string[] = [
  'Jumps of the wall clock: all namespaces share the clock of the machine (a time namespace has its own monotonic clock only, from its first process on), so a jump would hit everything that runs here.',
  'Loss of power: what a dying server had written stays written, because the kernel lives on.',
];
