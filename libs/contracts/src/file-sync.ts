import { z } from 'zod';
import { defineEvent, defineRequest } from './define-message.ts';
import { EpochSchema } from './vocabulary.ts';

/** How one file set is on this server. */
export const FileSetStateSchema = z.object({
  name: z.string(),
  path: z.string(),
  class: z.enum(['realtime', 'batch']),
  /** `sends`: this server is active. `fetches`: it stands by. `unknown`: nothing moves. */
  direction: z.enum(['sends', 'fetches', 'unknown']),
  /** Why nothing moves or the last run failed, one sentence; empty when all is well. */
  reason: z.string(),
  files: z.int(),
  bytes: z.number(),
  /** End of the last run on this server, and of the last that left nothing undone; null: none since the start of the service. */
  lastRunAt: z.iso.datetime().nullable(),
  lastCompleteAt: z.iso.datetime().nullable(),
  pendingFiles: z.int(),
  pendingBytes: z.number(),
  /** Of the last run that received anything. */
  bytesPerSecond: z.number().nullable(),
  /** At most 100; `errorCount` has them all. */
  errors: z.array(z.object({ path: z.string(), message: z.string() })),
  errorCount: z.int(),
  /** So many of so many files would go at once: an operator has to confirm it. */
  awaitingDeletion: z.object({ deletions: z.int(), files: z.int() }).nullable(),
});
export type FileSetState = z.infer<typeof FileSetStateSchema>;

/** All file sets, as they are on this server. */
export interface FileSetStates {
  readonly fileSets: readonly FileSetState[];
}

const TOLD = { reason: true, errors: true, errorCount: true, awaitingDeletion: true } as const;

/** One file set, as this server sees it. */
export const FileSetViewSchema = FileSetStateSchema.extend({
  /** The same of the set on the other server, at most 3 errors; null: that one has told nothing for 10 s. */
  peer: FileSetStateSchema.pick(TOLD).nullable(),
});
export type FileSetView = z.infer<typeof FileSetViewSchema>;

/** GET /api/v1/files. */
export const FilesViewSchema = z.object({ fileSets: z.array(FileSetViewSchema) });
export type FilesView = z.infer<typeof FilesViewSchema>;

/** How the file sets are; published every 2 s and when a run has ended. */
export const FileSyncObserved = defineEvent({
  reach: 'local',
  service: 'file-sync',
  name: 'observed',
  data: FilesViewSchema,
});

/** The same on demand. */
export const FilesQuery = defineRequest({
  reach: 'local',
  service: 'file-sync',
  kind: 'query',
  name: 'files',
  data: z.object({}),
  reply: FilesViewSchema,
});

/**
 * What differs between the servers in a set, as this server knows. On the standby by its last look at both (`missing-here`, `extra-here`,
 * `content`, `kind`: file, directory or link; `metadata`: owner, mode or time). On the active server what the peer has not confirmed
 * yet (`changed`, `removed`).
 */
export const FileDifferencesSchema = z.object({
  direction: FileSetViewSchema.shape.direction,
  /** The look that it is known from, or the last word of the peer; null: there was none. */
  asOf: z.iso.datetime().nullable(),
  count: z.int(),
  /** At most 1000. `since`: the first look that found it; null: none has yet. */
  differences: z.array(
    z.object({
      path: z.string(),
      what: z.enum(['missing-here', 'extra-here', 'content', 'kind', 'metadata', 'changed', 'removed']),
      since: z.iso.datetime().nullable(),
    }),
  ),
});
export type FileDifferences = z.infer<typeof FileDifferencesSchema>;

/** Asks for it. Refused with `unknown-set`. */
export const FileDifferencesQuery = defineRequest({
  reach: 'local',
  service: 'file-sync',
  kind: 'query',
  name: 'differences',
  data: z.object({ fileSet: z.string() }),
  reply: FileDifferencesSchema,
});

/** An operator's word that so many files of a set may go. Refused with `unknown-set` and `nothing-to-confirm`. */
export const ConfirmDeletion = defineRequest({
  reach: 'local',
  service: 'file-sync',
  kind: 'command',
  name: 'confirm-deletion',
  data: z.object({ fileSet: z.string() }),
  reply: z.object({ deletions: z.int() }),
});

/**
 * This server owns the role under `epoch` and has stopped its application for a switch: it goes on sending, looks at all sets and waits
 * until the peer has everything, at most `limitMs`. The role must not move before the answer. `missing`: what it has not got, one sentence for each set; empty when it has all.
 */
export const HandOverFiles = defineRequest({
  reach: 'local',
  service: 'file-sync',
  kind: 'command',
  name: 'hand-over',
  data: z.object({ epoch: EpochSchema, limitMs: z.int().min(0).max(60_000) }),
  reply: z.object({ missing: z.array(z.string()) }),
});

/** A set has changed on the server spoken of: the other one fetches at once. A hint; what it misses, the schedule finds. */
export const FilesChanged = defineEvent({
  reach: 'pair',
  service: 'file-sync',
  name: 'files-changed',
  data: z.object({ fileSet: z.string() }),
});

/** What the server spoken of needs attention for, told every second: whoever looks at one server sees both. */
export const FileSetsTold = defineEvent({
  reach: 'pair',
  service: 'file-sync',
  name: 'file-sets-told',
  data: z.object({ fileSets: z.array(FileSetStateSchema.pick({ name: true, class: true, ...TOLD })) }),
});
export type FileSetsTold = z.infer<typeof FileSetsTold.data>;

/** Something about files that an operator should read in the event list; health-monitor logs it. */
export const FileSyncIncident = defineEvent({
  reach: 'local',
  service: 'file-sync',
  name: 'incident',
  data: z.object({ severity: z.enum(['info', 'warning', 'critical']), code: z.string(), message: z.string() }),
});
