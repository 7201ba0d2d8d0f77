/** What a metric is: `gauge` as it is now, `counter` grows from the start of the process, `histogram` counts by size. */
export type MetricKind = 'gauge' | 'counter' | 'histogram';

/** One metric, by the conventions of OpenTelemetry: its name with dots, its unit as UCUM has it (`1` for a yes or no, `{thing}` for a number of things). */
export interface Metric {
  readonly kind: MetricKind;
  readonly unit: string;
  readonly says: string;
  readonly attributes?: readonly string[];
  /** Upper bounds of the sizes of a histogram, growing; what is larger is counted too. */
  readonly bounds?: readonly number[];
}

const SECONDS = [0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800] as const;

/** Every metric of a server, by its name. */
export const METRICS = {
  'understudy.up': { kind: 'gauge', unit: '1', says: 'The health monitor answers.' },
  'understudy.build.info': {
    kind: 'gauge',
    unit: '1',
    says: 'Always 1: the version of this server.',
    attributes: ['version'],
  },
  'understudy.info': {
    kind: 'gauge',
    unit: '1',
    says: 'Always 1: name, home role, state and configuration mode of this server, in the words of the status.',
    attributes: ['name', 'home_role', 'state', 'mode'],
  },
  'understudy.state': { kind: 'gauge', unit: '1', says: 'This server is in that state.', attributes: ['state'] },
  'understudy.state.since': { kind: 'gauge', unit: 's', says: 'Unix time at which the state was entered.' },
  'understudy.role': {
    kind: 'gauge',
    unit: '1',
    says: 'The current role is that: active, standby or none.',
    attributes: ['role'],
  },
  'understudy.epoch': { kind: 'gauge', unit: '1', says: 'Fencing token; grows with each promotion.' },
  'understudy.automatic_failover.armed': { kind: 'gauge', unit: '1', says: 'This server would take over by itself.' },
  'understudy.witness.reachable': {
    kind: 'gauge',
    unit: '1',
    says: 'This server reaches its witness, where it has one.',
  },
  'understudy.certificate.expiry': {
    kind: 'gauge',
    unit: 's',
    says: 'Unix time at which a certificate expires: that of this server (own) or the pinned one (peer).',
    attributes: ['of'],
  },
  'understudy.peer.reachable': { kind: 'gauge', unit: '1', says: 'The peer is heard.' },
  'understudy.peer.last_heartbeat': { kind: 'gauge', unit: 's', says: 'Unix time of the last answered heartbeat.' },
  'understudy.database.running': { kind: 'gauge', unit: '1', says: 'PostgreSQL runs.' },
  'understudy.database.usable': {
    kind: 'gauge',
    unit: '1',
    says: 'PostgreSQL answers a new connection; where it serves, with a write.',
  },
  'understudy.database.streaming': { kind: 'gauge', unit: '1', says: 'The databases stream.' },
  'understudy.database.protected': { kind: 'gauge', unit: '1', says: 'The peer holds a current copy.' },
  'understudy.replication.lag': {
    kind: 'gauge',
    unit: 'By',
    says: 'Active: what the peer has not confirmed. Standby: received and not replayed.',
  },
  'understudy.replication.delay': { kind: 'gauge', unit: 's', says: 'Age of the oldest change of that lag.' },
  'understudy.file_sync.pending': { kind: 'gauge', unit: '{file}', says: 'Files that wait to be synchronised.' },
  'understudy.file_sync.errors': {
    kind: 'gauge',
    unit: '{file}',
    says: 'Files that could not be synchronised; a file set of which none can be counts as one.',
  },
  'understudy.process.running': {
    kind: 'gauge',
    unit: '1',
    says: 'A process of the application runs.',
    attributes: ['name'],
  },
  'understudy.process.restarts': {
    kind: 'counter',
    unit: '{restart}',
    says: 'Restarts of a process of the application.',
    attributes: ['name'],
  },
  'understudy.heartbeat.round_trip': {
    kind: 'histogram',
    unit: 's',
    says: 'From a beat to its answer.',
    bounds: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1],
  },
  'understudy.heartbeat.missed': { kind: 'counter', unit: '{beat}', says: 'Beats that were not answered in time.' },
  'understudy.effect.duration': {
    kind: 'histogram',
    unit: 's',
    says: 'How long an effect of a decision took, and how it ended: completed or failed.',
    attributes: ['effect', 'outcome'],
    bounds: SECONDS,
  },
  'understudy.operations': {
    kind: 'counter',
    unit: '{operation}',
    says: 'Ended operations: succeeded or failed.',
    attributes: ['kind', 'result'],
  },
} as const satisfies Record<string, Metric>;

/** Name of a metric. */
export type MetricName = keyof typeof METRICS;

const UNITS: Readonly<Record<string, string>> = { s: '_seconds', By: '_bytes' };

/** The name of a metric in Prometheus: underscores, the unit in full, `_total` for what is counted. */
export function prometheusName(name: MetricName): string {
  const { kind, unit }: Metric = METRICS[name];
  return `${name.replaceAll('.', '_')}${UNITS[unit] ?? ''}${kind === 'counter' ? '_total' : ''}`;
}
