import { z } from 'zod';
import { defineRequest } from './define-message.ts';
import { OperationViewSchema } from './health-monitor.ts';
import { ServerRoleSchema } from './vocabulary.ts';

/** A measured value, or why there is none. Absent: the server that measured runs a release that does not know this measurement. */
function reading<Value extends z.ZodType>(value: Value) {
  return z.union([z.object({ value }), z.object({ notMeasured: z.string() })]).optional();
}

/** One file system that matters; sizes in bytes, speeds in megabytes (10^6 bytes) per second. */
export const FileSystemSchema = z.object({
  /** What lies there: `data`, `database`, `wal`, `logs`, `file set NAME`. */
  uses: z.array(z.string()),
  mountPoint: z.string(),
  sizeBytes: z.number(),
  availableBytes: z.number(),
  /** Percent of what this server may use, as `df` counts it. */
  usedPercent: z.number(),
  /** Null: the file system has no fixed number of them. */
  usedInodesPercent: z.number().nullable(),
});
export type FileSystem = z.infer<typeof FileSystemSchema>;

/** What was done to let the other server in. A server adds rules only when it is told to. */
export const FirewallOutcomeSchema = z.object({
  /** Each rule as it was given, and what takes it away again. */
  added: z.array(z.object({ rule: z.string(), undo: z.string() })),
  /** Why the ports may still be closed, for people; null: nothing is known to be wrong. */
  problem: z.string().nullable(),
});
export type FirewallOutcome = z.infer<typeof FirewallOutcomeSchema>;

/** What one server has measured of itself and of the way to its peer. */
export const MeasurementsSchema = z.object({
  /** Version of this product. */
  release: reading(z.string()),
  cpuCount: reading(z.int()),
  memoryBytes: reading(z.number()),
  operatingSystem: reading(z.object({ name: z.string(), kernel: z.string(), architecture: z.string() })),
  fileSystems: reading(z.array(FileSystemSchema)),
  /** Writing and reading past the page cache, in the data directory of PostgreSQL. */
  diskSpeed: reading(z.object({ writeMegabytesPerSecond: z.number(), readMegabytesPerSecond: z.number().nullable() })),
  sharedMemoryBytes: reading(z.number()),
  timeZone: reading(z.string()),
  /** Unix time in milliseconds: when the question came to this server, and when its answer left. */
  unixMs: reading(z.number()),
  endUnixMs: reading(z.number()),
  /** Whether a time service keeps the clock, as the kernel says it. */
  clockSynchronised: reading(z.boolean()),
  kernelLimits: reading(z.object({ openFiles: z.number(), overcommitMemory: z.int() })),
  /** `none`, `AppArmor`, `SELinux enforcing` or `SELinux permissive`. */
  mandatoryAccessControl: reading(z.string()),
  /** Ids by name (`user NAME`, `group NAME`) that this server knows, and the names of those that PostgreSQL and the files of file sets belong to. */
  accounts: reading(z.object({ used: z.array(z.string()), known: z.record(z.string(), z.int()) })),
  /** Huge pages of the kernel, and how many PostgreSQL wants; `setting` null: there is no database, `needed` null: its release does not tell. */
  hugePages: reading(
    z.object({
      total: z.int(),
      pageBytes: z.number(),
      setting: z.enum(['off', 'try', 'on']).nullable(),
      needed: z.int().nullable(),
    }),
  ),
  /** Of this server's own certificate, by its own clock. */
  certificate: reading(z.object({ validFrom: z.iso.datetime(), validTo: z.iso.datetime(), nowUnixMs: z.number() })),
  /** State of health-monitor: `ready`, `starting`, `degraded: why`. */
  healthMonitor: reading(z.string()),
  /** The interface that carries the pair's traffic; `megabitsPerSecond` null: it does not tell, as virtual ones do not. */
  networkInterface: reading(z.object({ name: z.string(), mtu: z.int(), megabitsPerSecond: z.number().nullable() })),
  databaseVersion: reading(z.string()),
  /** Health of PostgreSQL as db-replication sees it. */
  database: reading(
    z.object({
      role: z.string(),
      running: z.boolean(),
      usable: z.boolean(),
      streaming: z.boolean(),
      lagBytes: z.number().nullable(),
      /** False: the server is measured before its registration. */
      isPaired: z.boolean().optional(),
    }),
  ),
  /** From here on the peer is looked at, or what is needed for it: measured only where there is one. */
  ping: reading(z.object({ lossPercent: z.number(), roundTripMs: z.number().nullable() })),
  /** Shortest time of a TCP connection to the peer's Health Monitor, one round trip; null: there was none. */
  latency: reading(z.object({ milliseconds: z.number().nullable(), problem: z.string().nullable() })),
  /** What came from the peer's PostgreSQL, over TLS, within a few seconds. */
  throughput: reading(z.object({ megabitsPerSecond: z.number(), bytes: z.number() })),
  /** Problems with the names of both servers; empty: none. */
  names: reading(z.object({ shown: z.string(), problems: z.array(z.string()) })),
  /** The ports of the peer that this server needs; null problem: a connection opens. */
  peerPorts: reading(z.array(z.object({ use: z.string(), port: z.int(), problem: z.string().nullable() }))),
  /** Only where it was told to open ports. */
  firewall: reading(FirewallOutcomeSchema),
  /** Whether the peer's PostgreSQL answers at its port; null problem: it does. */
  peerDatabasePort: reading(z.object({ where: z.string(), problem: z.string().nullable() })),
  /** The same of this server's own, at the address at which the peer would reach it; `isFree`: it has none yet, and could listen there. */
  listener: reading(z.object({ where: z.string(), problem: z.string().nullable(), isFree: z.boolean().optional() })),
  listenerConfiguration: reading(z.object({ problems: z.array(z.string()) })),
  connectionConfiguration: reading(z.object({ problems: z.array(z.string()) })),
  /** A login for replication at the peer's PostgreSQL, by certificate; before registration, TLS with the certificate of that server. */
  peerLogin: reading(
    z.object({ where: z.string(), problem: z.string().nullable(), isTlsOnly: z.boolean().optional() }),
  ),
  /** The C library, whose version decides how text is sorted; locales that databases here use, and those that are installed. */
  locales: reading(z.object({ library: z.string(), used: z.array(z.string()), installed: z.array(z.string()) })),
  /** Sizes in bytes; `databaseBytes` null: there is no database here. */
  databaseRoom: reading(
    z.object({ databaseBytes: z.number().nullable(), availableBytes: z.number(), walKeepLimitBytes: z.number() }),
  ),
});
export type Measurements = z.infer<typeof MeasurementsSchema>;

/** `not-checked` is no verdict: `reason` says what kept the check from being made. */
export const READINESS_STATUSES = ['passed', 'warning', 'failed', 'not-checked'] as const;
export type ReadinessStatus = (typeof READINESS_STATUSES)[number];

/** One line of the checklist. */
export const ReadinessCheckSchema = z.object({
  name: z.string(),
  group: z.enum(['SYSTEM', 'NETWORK', 'DATABASE']),
  /** In which lists it stands: the fifteen before registration, the three before a failover, or `further`. */
  lists: z.array(z.enum(['registration', 'failover', 'further'])),
  status: z.enum(READINESS_STATUSES),
  /** What is wrong, with values and units; empty when it has passed. */
  reason: z.string(),
  /** What happens when it is left as it is; `None` when it has passed. */
  impact: z.string(),
  /** `None` when it has passed. */
  recommendation: z.string(),
  /** What was measured on each side, for people; null: nothing was. */
  primary: z.string().nullable(),
  secondary: z.string().nullable(),
  /** The same line of the run before; null: it was not in it. */
  previous: z
    .object({ status: z.enum(READINESS_STATUSES), primary: z.string().nullable(), secondary: z.string().nullable() })
    .nullable(),
});
export type ReadinessCheck = z.infer<typeof ReadinessCheckSchema>;

/** What one run has found. GET /api/v1/ha/readiness-checks/latest. */
export const ReadinessReportSchema = z.object({
  operationId: z.string(),
  startedAt: z.iso.datetime(),
  durationMs: z.number(),
  /** The worst status of its checks; those not checked do not count. */
  overall: z.enum(READINESS_STATUSES),
  /** Start of the run it is compared with, null when it is the first. */
  comparedWith: z.iso.datetime().nullable(),
  /** What this run has changed, where it was told to; absent: it was not. Empty: there was nothing to change. */
  firewall: z.array(FirewallOutcomeSchema.extend({ server: ServerRoleSchema })).optional(),
  checks: z.array(ReadinessCheckSchema),
});
export type ReadinessReport = z.infer<typeof ReadinessReportSchema>;

const own = { reach: 'local', service: 'readiness-checker' } as const;

/**
 * Starts a run. Refused with `operation-running`. It never keeps anything else from being done. `candidate`: with that server, which is
 * not registered yet; else with the peer.
 */
export const StartReadinessChecks = defineRequest({
  ...own,
  kind: 'command',
  name: 'start',
  data: z.object({
    candidate: z.object({ secondaryAddress: z.string(), authenticationKey: z.string() }).optional(),
    /** An operator's word that closed ports are to be opened in the firewalls of both servers. */
    fix: z.boolean().optional(),
  }),
  reply: z.object({ operationId: z.string() }),
});

/** The newest report; `not-found` when there is none. */
export const LatestReadinessReport = defineRequest({
  ...own,
  kind: 'query',
  name: 'latest-report',
  data: z.object({}),
  reply: ReadinessReportSchema,
});

/** The runs since the start of the service, newest first. */
export const ReadinessOperationsQuery = defineRequest({
  ...own,
  kind: 'query',
  name: 'operations',
  data: z.object({}),
  reply: z.object({ operations: z.array(OperationViewSchema) }),
});

/** What is asked of the other server; nothing of it: to measure all. */
export const MeasurementOrderSchema = z.object({
  /** Let the asking server in to these of its own ports, and measure nothing. */
  openPorts: z.array(z.int()).max(8).optional(),
  /** Only what depends on the way between the servers. */
  only: z.literal('way').optional(),
});
export type MeasurementOrder = z.infer<typeof MeasurementOrderSchema>;

/** Asks the peer's readiness-checker for what it measures now; refused with `wrong-pair`. Takes up to 25 s. */
export const MeasurePeer = defineRequest({
  reach: 'pair',
  service: 'readiness-checker',
  kind: 'command',
  name: 'measure',
  data: MeasurementOrderSchema.extend({ pairId: z.string() }),
  reply: MeasurementsSchema,
});
