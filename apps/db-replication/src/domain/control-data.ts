import { parseLsn } from '@understudy/contracts';
import type { WalGeometry } from './wal-position.ts';

/** What pg_control says about a data directory, as far as decisions need it. */
export interface ControlData extends WalGeometry {
  readonly systemIdentifier: string;
  /** The server's own words, e.g. `shut down`, `in production`, `shut down in recovery`. */
  readonly state: string;
  /** Start of the latest checkpoint's record; see `recordEnd`. */
  readonly checkpointLsn: bigint;
  readonly redoLsn: bigint;
  readonly checkpointTimeline: number;
  /** How far a standby must replay to be consistent; 0 for a server that was not in recovery. */
  readonly minimumRecoveryEnd: bigint;
  readonly minimumRecoveryTimeline: number;
  readonly dataChecksums: boolean;
  readonly walLogHints: boolean;
  /** Settings that a standby must not have lower than the server whose WAL it replays. */
  readonly capacity: Readonly<Record<CapacitySetting, number>>;
}

/** Settings for which a standby with a lower value stops replaying. */
export const CAPACITY_SETTINGS = [
  'max_connections',
  'max_worker_processes',
  'max_wal_senders',
  'max_prepared_transactions',
  'max_locks_per_transaction',
] as const;
export type CapacitySetting = (typeof CAPACITY_SETTINGS)[number];

/** Reads the output of pg_controldata (run with LC_ALL=C). Throws when a line that every release since 13 prints is missing. */
export function parseControlData(output: string): ControlData {
  const values = new Map(
    output.split('\n').flatMap((line) => {
      const at = line.indexOf(':');
      return at < 0 ? [] : [[line.slice(0, at).trim(), line.slice(at + 1).trim()] as const];
    }),
  );
  const text = (label: string): string => {
    const value = values.get(label);
    if (value === undefined) throw new Error(`pg_controldata printed no line "${label}"`);
    return value;
  };
  const number = (label: string): number => Number.parseInt(text(label), 10);
  return {
    systemIdentifier: text('Database system identifier'),
    state: text('Database cluster state'),
    checkpointLsn: parseLsn(text('Latest checkpoint location')),
    redoLsn: parseLsn(text("Latest checkpoint's REDO location")),
    checkpointTimeline: number("Latest checkpoint's TimeLineID"),
    minimumRecoveryEnd: parseLsn(text('Minimum recovery ending location')),
    minimumRecoveryTimeline: number("Min recovery ending loc's timeline"),
    walBlockBytes: number('WAL block size'),
    walSegmentBytes: number('Bytes per WAL segment'),
    dataChecksums: number('Data page checksum version') > 0,
    walLogHints: text('wal_log_hints setting') === 'on',
    capacity: {
      max_connections: number('max_connections setting'),
      max_worker_processes: number('max_worker_processes setting'),
      max_wal_senders: number('max_wal_senders setting'),
      max_prepared_transactions: number('max_prepared_xacts setting'),
      max_locks_per_transaction: number('max_locks_per_xact setting'),
    },
  };
}

/** Stopped in order: nothing to recover, the checkpoint is the last record (as a writer) or the restart point (as a standby). */
export function isCleanShutdown(control: ControlData): boolean {
  return control.state === 'shut down' || control.state === 'shut down in recovery';
}

/** The directory's last run wrote WAL of its own, or was about to: it was not a standby. */
export function wasWriter(control: ControlData): boolean {
  return !control.state.includes('archive recovery') && control.state !== 'shut down in recovery';
}

/** The timeline a directory is on: a standby's replay may be ahead of its last restart point. */
export function timelineOf(control: ControlData): number {
  return Math.max(control.checkpointTimeline, control.minimumRecoveryTimeline);
}
