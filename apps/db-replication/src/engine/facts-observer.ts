import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { DatabaseFacts } from '@understudy/contracts';
import { formatLsn, parseLsn } from '@understudy/contracts';
import type { Clock } from '@understudy/platform';
import { PEER_SLOT } from '@understudy/platform';
import { LastKnown } from '../adapters/last-known.ts';
import { KeptSession, type Row, withLocal } from '../adapters/sql.ts';
import { CommitConfirmation, type CommitLook } from '../domain/commit-confirmation.ts';
import { type ControlData, timelineOf } from '../domain/control-data.ts';
import { RetentionEstimate } from '../domain/retention-estimate.ts';
import { quietContext } from '../ports/task-context.ts';
import { PEER_APPLICATION } from './configuration-files.ts';
import type { DataDirectory } from './data-directory.ts';
import type { Postmaster } from './postmaster.ts';

const PROBE_LIMIT_MS = 2000;

const STATE = `
select pg_is_in_recovery() as standby,
       (select system_identifier::text from pg_control_system()) as system,
       (select wal_status from pg_replication_slots where slot_name = '${PEER_SLOT}') as slot_status,
       (select safe_wal_size::text from pg_replication_slots where slot_name = '${PEER_SLOT}') as safe_bytes,
       case when pg_is_in_recovery() then greatest(coalesce(pg_last_wal_receive_lsn(), '0/0'), coalesce(pg_last_wal_replay_lsn(), '0/0')) else pg_current_wal_lsn() end::text as lsn,
       case when pg_is_in_recovery() then pg_last_wal_replay_lsn() end::text as replay_lsn,
       case when pg_is_in_recovery() then (select received_tli from pg_stat_wal_receiver)
            else ('x' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8))::bit(32)::int end as timeline,
       (select checkpoint.timeline_id from pg_control_checkpoint() checkpoint) as checkpoint_timeline,
       case when pg_is_in_recovery() then (select status = 'streaming' from pg_stat_wal_receiver)
            else exists (select from pg_stat_replication where application_name = '${PEER_APPLICATION}' and state = 'streaming') end as streaming,
       case when pg_is_in_recovery() then pg_wal_lsn_diff(pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn())
            else (select pg_wal_lsn_diff(pg_current_wal_lsn(), flush_lsn) from pg_stat_replication where application_name = '${PEER_APPLICATION}' and state = 'streaming' limit 1) end::text as lag_bytes,
       case when pg_is_in_recovery() then extract(epoch from now() - pg_last_xact_replay_timestamp())
            else (select extract(epoch from coalesce(flush_lag, '0'::interval)) from pg_stat_replication where application_name = '${PEER_APPLICATION}' and state = 'streaming' limit 1) end::text as lag_seconds,
       current_setting('synchronous_standby_names') <> '' as commits_wait,
       (select pid from pg_stat_replication where application_name = '${PEER_APPLICATION}' and state = 'streaming' and sync_state in ('sync', 'quorum') limit 1) as sync_pid,
       (select flush_lsn from pg_stat_replication where application_name = '${PEER_APPLICATION}' and state = 'streaming' limit 1)::text as confirmed,
       case when not pg_is_in_recovery() then pg_current_wal_insert_lsn() end::text as written,
       exists (select from pg_stat_activity where backend_type = 'checkpointer' and wait_event in ('CheckpointerMain', 'CheckpointWriteDelay')) as checkpointer_idle`;

const WRITE = `insert into understudy.probe (id, at) values (1, now()) on conflict (id) do update set at = excluded.at`;

/** Statements that make the place the write probe needs; sent at once, so that two who find it missing make it one after the other. */
export const PROBE_SCHEMA = `
select pg_advisory_xact_lock(hashtext('understudy.probe'));
create schema if not exists understudy;
create table if not exists understudy.probe (id int primary key, at timestamptz not null)`;

/** Looks at this server's PostgreSQL: a fresh connection each time, a committed write on the active one, everything bounded. */
export class FactsObserver {
  private lastUsableMs: number;
  private readonly retention: RetentionEstimate;
  private readonly kept: KeptSession;
  private readonly confirmation = new CommitConfirmation();
  private crashed: { readonly key: string; readonly lsn: string | null } | null = null;
  private readonly atRest = new LastKnown<AtRest | null>(() => this.readAtRest(), null);

  constructor(
    private readonly postmaster: Postmaster,
    private readonly directory: DataDirectory,
    private readonly clock: Clock,
    retentionSeconds: number,
  ) {
    this.lastUsableMs = clock.nowMs();
    this.retention = new RetentionEstimate(retentionSeconds);
    this.kept = new KeptSession(postmaster.local);
  }

  /** One whole observation. `waitSince`: the decision by which PostgreSQL was told that commits wait; null: it was not. Never rejects, and ends within a few seconds whatever hangs. */
  async observe(restartsExhausted: boolean, waitSince: number | null): Promise<DatabaseFacts> {
    const running = (await this.postmaster.locate()) !== null;
    const [row, shape] = await Promise.all([running ? this.probe() : null, this.directory.lastShape()]);
    if (row !== null) this.lastUsableMs = this.clock.nowMs();
    const isStandby = row === null ? shape.isStandby : row.standby === true;
    const kindOfRunning = isStandby ? 'standby' : 'read-write';
    const role = running ? kindOfRunning : shape.exists ? 'stopped' : 'none';
    const atRest = running ? null : await this.atRest.get(PROBE_LIMIT_MS);
    const position = text(row?.lsn);
    const streaming = row?.streaming === true;
    return {
      running,
      usable: row !== null,
      unusableSeconds: row === null ? Math.round((this.clock.nowMs() - this.lastUsableMs) / 100) / 10 : 0,
      role,
      timeline: row === null ? (atRest?.timeline ?? null) : number(row.timeline ?? row.checkpoint_timeline),
      lsn: position ?? atRest?.lsn ?? null,
      replayLsn: text(row?.replay_lsn),
      streaming,
      lagBytes: row === null || (role === 'read-write' && !streaming) ? null : Math.max(0, number(row.lag_bytes) ?? 0),
      lagSeconds: row === null || (role === 'read-write' && !streaming) ? null : lagSeconds(row),
      commitsConfirmedSince: this.confirmation.observe(waitSince, row && commitsOf(row), this.clock.nowMs()),
      systemIdentifier: text(row?.system) ?? atRest?.system ?? null,
      slotStatus: role === 'read-write' ? slotStatus(row?.slot_status) : null,
      foreignPostmaster: this.postmaster.isForeign || (!running && this.postmaster.isPortTaken),
      restartsExhausted,
      retentionRemainingSeconds:
        role === 'read-write' && position !== null && row?.slot_status != null
          ? this.retention.observe(
              {
                atMs: this.clock.nowMs(),
                position: parseLsn(position),
                safeBytes: row.safe_bytes == null ? null : BigInt(String(row.safe_bytes)),
              },
              streaming,
            )
          : null,
      observedAt: new Date(this.clock.unixMs()).toISOString(),
    };
  }

  /** How far a running standby has received WAL, quickly and often; null when it does not say. */
  async received(): Promise<bigint | null> {
    try {
      const [row] = await this.kept.query(
        `select greatest(coalesce(pg_last_wal_receive_lsn(), '0/0'), coalesce(pg_last_wal_replay_lsn(), '0/0'))::text as lsn`,
        PROBE_LIMIT_MS,
      );
      const lsn = text(row?.lsn);
      return lsn === null ? null : parseLsn(lsn);
    } catch {
      return null;
    }
  }

  /** Lets go of the kept connection, which would hold up a shutdown's goodbye. */
  close(): void {
    this.kept.close();
  }

  private async probe(): Promise<Row | null> {
    try {
      return await withLocal(this.postmaster.local, PROBE_LIMIT_MS, async (session) => {
        const [row] = await session.query(STATE);
        if (row?.standby === false)
          await session.query(WRITE).catch(async () => void (await session.query(`${PROBE_SCHEMA};${WRITE}`)));
        return row ?? null;
      });
    } catch {
      return null;
    }
  }

  /** What a stopped directory says; pg_controldata is run again only when pg_control has changed. */
  private async readAtRest(): Promise<AtRest | null> {
    const file = join(this.directory.path, 'global', 'pg_control');
    const status = await stat(file).catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return null;
      throw error;
    });
    if (status === null) return null;
    const key = `${status.mtimeMs}-${status.ino}`;
    if (this.atRest.last?.key === key && this.atRest.last.lsn !== null) return this.atRest.last;
    const control = await this.directory.control();
    const orderly = await this.directory.endOfOrderlyWal(control).catch(() => null);
    const lsn = orderly === null ? this.endAfterCrash(key, control) : formatLsn(orderly);
    return { key, lsn, timeline: timelineOf(control), system: control.systemIdentifier };
  }

  /**
   * Where the data of a crashed server end is read from its WAL, which takes a while: unknown until then. The last checkpoint would say
   * less than there is, and the other server would be taken for the one with the newest data.
   */
  private endAfterCrash(key: string, control: ControlData): string | null {
    if (this.crashed?.key === key) return this.crashed.lsn;
    this.crashed = { key, lsn: null };
    this.directory.endOfData(control, quietContext()).then(
      (end) => {
        if (this.crashed?.key === key) this.crashed = { key, lsn: formatLsn(end) };
      },
      () => {
        if (this.crashed?.key === key) this.crashed = null; // read again
      },
    );
    return null;
  }
}

function commitsOf(row: Row): CommitLook {
  const position = (value: unknown) => (typeof value === 'string' ? parseLsn(value) : null);
  return {
    wait: row.commits_wait === true,
    sender: number(row.sync_pid),
    written: position(row.written),
    confirmed: position(row.confirmed),
    isCheckpointerIdle: row.checkpointer_idle === true,
  };
}

interface AtRest {
  readonly key: string;
  /** Null: not known yet. */
  readonly lsn: string | null;
  readonly timeline: number;
  readonly system: string;
}

function text(value: unknown): string | null {
  return typeof value === 'string' ? value : null;
}

function number(value: unknown): number | null {
  if (value === null || value === undefined) return null;
  const parsed = Number(value);
  return Number.isFinite(parsed) ? parsed : null;
}

/** A standby that has replayed all it received has no lag, however long ago the last transaction was. */
function lagSeconds(row: Row): number | null {
  if (row.standby && (number(row.lag_bytes) ?? 0) === 0) return 0;
  return number(row.lag_seconds);
}

function slotStatus(value: unknown): DatabaseFacts['slotStatus'] {
  return value === 'reserved' || value === 'extended' || value === 'unreserved' || value === 'lost' ? value : null;
}
