import { z } from 'zod';
import { defineEvent, defineRequest } from './define-message.ts';
import { EpochSchema, LsnSchema } from './vocabulary.ts';

/**
 * What db-replication observes about this server's PostgreSQL; published every second and at once on a change of any
 * field that is not a position. A fact that could not be read within its deadline is null: unknown is not healthy.
 */
export const DatabaseFactsSchema = z.object({
  /** The postmaster of our data directory lives (pid and start time verified, not a zombie). */
  running: z.boolean(),
  /** A fresh connection answered; on an active database a write committed too. Unanswered for the probe's deadline: false. */
  usable: z.boolean(),
  /** Seconds since it was last usable; 0 when it is. */
  unusableSeconds: z.number(),
  /** `none`: no data directory; `read-write` or `standby` when running; `stopped` otherwise. */
  role: z.enum(['none', 'stopped', 'read-write', 'standby']),
  timeline: z.int().nullable(),
  /** Write position: end of WAL written here (active), received and flushed (standby), last checkpoint (stopped). */
  lsn: LsnSchema.nullable(),
  /** Standby: replayed position. */
  replayLsn: LsnSchema.nullable(),
  /** Standby: a WAL receiver is in state streaming from the pinned peer on the right timeline. Active: the peer's WAL sender is streaming. */
  streaming: z.boolean(),
  /** Active: bytes the peer has not confirmed as flushed (null: not streaming). Standby: bytes received but not replayed. */
  lagBytes: z.number().nullable(),
  lagSeconds: z.number().nullable(),
  /**
   * Active: the decision since which commits wait for the peer, when it has confirmed everything that was written before they did;
   * else null or absent.
   */
  commitsConfirmedSince: z.int().nullable().optional(),
  systemIdentifier: z.string().nullable(),
  /** Active: state of the slot kept for the peer: pg_replication_slots.wal_status, null without slot. */
  slotStatus: z.enum(['reserved', 'extended', 'unreserved', 'lost']).nullable(),
  /** A postmaster on our data directory or port that we did not start. */
  foreignPostmaster: z.boolean(),
  /** The restart policy is used up: PostgreSQL cannot be kept running. */
  restartsExhausted: z.boolean(),
  /** Seconds until an absent peer needs a full copy, null while it streams or without estimate. */
  retentionRemainingSeconds: z.number().nullable(),
  observedAt: z.iso.datetime(),
});

/** Facts about this server's PostgreSQL. */
export type DatabaseFacts = z.infer<typeof DatabaseFactsSchema>;

/** db-replication's periodic report. */
export const DatabaseFactsObserved = defineEvent({
  reach: 'local',
  service: 'db-replication',
  name: 'facts-observed',
  data: DatabaseFactsSchema,
});

/** Facts on demand, observed now. */
export const DatabaseFactsQuery = defineRequest({
  reach: 'local',
  service: 'db-replication',
  kind: 'query',
  name: 'facts',
  trace: 'none',
  data: z.object({}),
  reply: DatabaseFactsSchema,
});

/** One piece of work on PostgreSQL. Every task is safe to repeat from any point. */
export const DatabaseTaskSchema = z.discriminatedUnion('kind', [
  /** Make it run read-write (initdb when the directory is empty; crash recovery when needed). Never promotes a standby: fails with `is-standby`. */
  z.object({ kind: z.literal('start-active') }),
  /** Checkpoint (bounded), fast shutdown, immediate as the last resort after 60 s. Result: final LSN and timeline from pg_control. Already stopped is success. */
  z.object({ kind: z.literal('stop') }),
  /** End it at once, without a checkpoint and without asking anybody; says nothing about where its data end. */
  z.object({ kind: z.literal('fence') }),
  /** Make replication to the pinned peer possible: TLS, HBA, replication role, the peer's slot. Reload only. */
  z.object({ kind: z.literal('prepare-source') }),
  /** Undo of prepare-source: drop the peer's slot and role login, remove its HBA lines. */
  z.object({ kind: z.literal('retire-source') }),
  /**
   * Become a streaming standby of the pinned peer, whatever we are now: no directory or `forceCopy` -> full copy;
   * clean ancestor -> follow; diverged -> set aside, rewind, else full copy. Done when streaming. Stops a running active database first.
   */
  z.object({
    kind: z.literal('follow-peer'),
    forceCopy: z.boolean(),
    /** Seconds this server was away, to compare with retention; null: unknown. */ awaySeconds: z.number().nullable(),
  }),
  /** Just start PostgreSQL as a standby with what is there; no rewind, no copy. Done when it accepts read-only connections. */
  z.object({ kind: z.literal('start-standby') }),
  /** Promote. With `requiredLsn`: first wait (bounded) until everything up to it is received, else fail with `data-missing`. Ends with a checkpoint request that is not waited for. */
  z.object({ kind: z.literal('promote'), requiredLsn: LsnSchema.nullable() }),
  /** After a failed registration: remove the copied directory and put the one from before back. */
  z.object({ kind: z.literal('discard-copy') }),
]);

/** One piece of work on PostgreSQL. */
export type DatabaseTask = z.infer<typeof DatabaseTaskSchema>;

/** What a finished task found or did. */
export const DatabaseTaskResultSchema = z.object({
  /** stop: end of WAL, the shutdown checkpoint included; promote: where the new timeline began. */
  lsn: LsnSchema.nullable(),
  timeline: z.int().nullable(),
  /** stop: false when there is no database in the data directory. */
  hasDatabase: z.boolean().optional(),
  /** follow-peer: how it got there. */
  method: z.enum(['none', 'follow', 'rewind', 'copy']),
  /** Folder where a diverged part was set aside, null when nothing was. */
  setAside: z.string().nullable(),
  setAsideBytes: z.number(),
  durationMs: z.number(),
});

/** What a finished task found or did. */
export type DatabaseTaskResult = z.infer<typeof DatabaseTaskResultSchema>;

/** Codes of failed tasks. */
export const DATABASE_TASK_ERRORS = [
  'is-standby',
  'not-standby',
  'data-missing',
  'stale-epoch',
  'peer-unreachable',
  'copy-failed',
  'copy-not-made',
  'set-aside-failed',
  'peer-not-ready',
  'start-failed',
  'stop-failed',
  'foreign-postmaster',
  'no-data',
  'superseded',
  'promotion-failed',
  'not-paired',
  'internal',
] as const;

/**
 * Performs a task, idempotent by `taskId`: asked again while it runs, it answers its progress (held up to `holdMs`, answered at
 * once when the task ends); asked again after it ended, the same outcome; asked after a restart of the service, it starts again.
 * One task runs at a time: asked for a new one while another runs, it answers the progress of that other, by its `taskId`; whoever
 * wants the new one asks again until it is its turn. `replaces` cancels a running task of that name. One that cannot stop where it
 * is (a rewind, a shutdown) goes on to where it can. An epoch below the last seen is refused with `stale-epoch`.
 */
export const PerformDatabaseTask = defineRequest({
  reach: 'local',
  service: 'db-replication',
  kind: 'command',
  name: 'perform',
  trace: 'pass', // asked again and again while the task runs: the task is the part of the trace
  data: z.object({
    taskId: z.string(),
    epoch: EpochSchema,
    task: DatabaseTaskSchema,
    holdMs: z.int().min(0).max(5000),
    replaces: z.string().nullable().default(null),
  }),
  reply: z.discriminatedUnion('state', [
    /**
     * `taskId`: the task at work, which may be another than the one asked for; null: none, and none begins just now. `progress` grows
     * as long as work is being done (bytes copied, WAL replayed): no growth is a hang. `percent` is for people.
     */
    z.object({
      state: z.literal('running'),
      taskId: z.string().nullable(),
      step: z.string(),
      progress: z.number(),
      percent: z.number().nullable(),
    }),
    z.object({ state: z.literal('succeeded'), result: DatabaseTaskResultSchema }),
    z.object({ state: z.literal('failed'), code: z.enum(DATABASE_TASK_ERRORS), message: z.string() }),
  ]),
});

/** Something an operator should read in the event list; health-monitor logs it. */
export const DatabaseIncident = defineEvent({
  reach: 'local',
  service: 'db-replication',
  name: 'incident',
  data: z.object({ severity: z.enum(['info', 'warning', 'critical']), code: z.string(), message: z.string() }),
});
