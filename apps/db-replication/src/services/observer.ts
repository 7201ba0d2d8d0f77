import type { DatabaseFacts } from '@understudy/contracts';
import { formatLsn, parseLsn } from '@understudy/contracts';
import { KeptSession, type Row } from '../adapters/sql.ts';
import { timelineOf } from '../domain/control-data.ts';
import { RetentionEstimate } from '../domain/retention-estimate.ts';
import { PEER_APPLICATION, PEER_SLOT } from './configuration-files.ts';
import { type Engine } from './engine.ts';

const INTERVAL_MS = 1000;
const PROBE_DEADLINE_MS = 2000;
/** An on-demand look at an active database does not write again when a write was proven so recently. */
const WRITE_PROOF_MS = 900;

const LOOK = `
  SELECT pg_is_in_recovery() AS recovery,
    (SELECT system_identifier::text FROM pg_control_system()) AS system,
    CASE WHEN pg_is_in_recovery() THEN greatest(pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn()) ELSE pg_current_wal_lsn() END::text AS lsn,
    pg_last_wal_replay_lsn()::text AS replay,
    CASE WHEN pg_is_in_recovery() THEN
      greatest((SELECT timeline_id FROM pg_control_checkpoint()), (SELECT min_recovery_end_timeline FROM pg_control_recovery()),
        (SELECT received_tli FROM pg_stat_wal_receiver WHERE status = 'streaming'))
      ELSE ('x' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8))::bit(32)::int END AS timeline,
    (SELECT status = 'streaming' FROM pg_stat_wal_receiver) AS receiving,
    (SELECT flush_lsn::text FROM pg_stat_replication WHERE application_name = '${PEER_APPLICATION}' AND state = 'streaming' LIMIT 1) AS peer_flush,
    (SELECT extract(epoch FROM replay_lag)::float8 FROM pg_stat_replication WHERE application_name = '${PEER_APPLICATION}' AND state = 'streaming' LIMIT 1) AS peer_lag,
    (SELECT wal_status FROM pg_replication_slots WHERE slot_name = '${PEER_SLOT}') AS slot_status,
    (SELECT safe_wal_size::text FROM pg_replication_slots WHERE slot_name = '${PEER_SLOT}') AS slot_safe,
    greatest(0, extract(epoch FROM now() - pg_last_xact_replay_timestamp())::float8) AS replay_age`;

const WRITE = `INSERT INTO understudy.probe AS p (id, at) VALUES (1, clock_timestamp())
  ON CONFLICT (id) DO UPDATE SET at = excluded.at`;
const CREATE_PROBE = `CREATE SCHEMA IF NOT EXISTS understudy;
  CREATE TABLE IF NOT EXISTS understudy.probe (id int PRIMARY KEY, at timestamptz NOT NULL)`;
/** A standby keeps for its peer what both need from the last checkpoint on, so that the peer can follow it after a promotion. */
const MIRROR_SLOT = `SELECT pg_create_physical_replication_slot('${PEER_SLOT}', true)
    WHERE NOT EXISTS (SELECT 1 FROM pg_replication_slots WHERE slot_name = '${PEER_SLOT}');
  SELECT pg_replication_slot_advance('${PEER_SLOT}', least(redo_lsn, pg_last_wal_replay_lsn()))
    FROM pg_control_checkpoint(), pg_replication_slots
    WHERE slot_name = '${PEER_SLOT}' AND restart_lsn < least(redo_lsn, pg_last_wal_replay_lsn()) AND NOT active`;

/** Observes this server's PostgreSQL: every second, on demand, and at once when something changes. */
export class Observer {
  private readonly kept: KeptSession;
  private readonly retention: RetentionEstimate;
  private readonly timer: NodeJS.Timeout;
  private running: Promise<DatabaseFacts> | null = null;
  private queued: Promise<DatabaseFacts> | null = null;
  private lastShown = '';
  private last: DatabaseFacts | null = null;
  private usableAtMs: number;
  private wroteAtMs = Number.NEGATIVE_INFINITY;
  private closed = false;

  constructor(private readonly engine: Engine) {
    this.kept = new KeptSession(engine.local);
    this.retention = new RetentionEstimate(engine.settings.retentionSeconds);
    this.usableAtMs = engine.clock.nowMs();
    engine.onChange = () => void this.observe();
    this.timer = setInterval(() => void this.tick(), INTERVAL_MS);
    void this.tick();
  }

  /** What is true now: the look begins after the call. Never throws. */
  observe(): Promise<DatabaseFacts> {
    if (!this.running) {
      this.running = this.look().finally(() => {
        this.running = null;
      });
      return this.running;
    }
    this.queued ??= this.running.then(() => {
      this.queued = null;
      return this.observe();
    });
    return this.queued;
  }

  close(): void {
    this.closed = true;
    clearInterval(this.timer);
    this.kept.close();
  }

  private async tick(): Promise<void> {
    if (this.closed) return;
    const facts = await this.observe();
    this.publish(facts);
    if (facts.role === 'standby' && facts.usable) {
      // Best effort: without it the peer may need a full copy one day, and retention facts then say so.
      await this.engine.ask((session) => session.query(MIRROR_SLOT), PROBE_DEADLINE_MS).catch(() => undefined);
    }
  }

  private async look(): Promise<DatabaseFacts> {
    const { engine } = this;
    const { postmaster, clock } = engine;
    const running = postmaster.adopt();
    const row = running ? await this.askServer() : null;
    const nowMs = clock.nowMs();
    if (row) this.usableAtMs = nowMs;
    const base = {
      running,
      usable: row !== null,
      unusableSeconds: (nowMs - this.usableAtMs) / 1000,
      foreignPostmaster: postmaster.foreign,
      restartsExhausted: engine.isExhausted,
      observedAt: new Date(clock.unixMs()).toISOString(),
    };
    const facts = row ? this.factsOf(row, base) : await this.factsWithoutServer(running, base);
    const { lsn, replayLsn, lagBytes, lagSeconds, observedAt, unusableSeconds, retentionRemainingSeconds, ...stable } =
      facts;
    const shown = JSON.stringify(stable);
    this.last = facts;
    if (shown !== this.lastShown) {
      this.lastShown = shown;
      this.publish(facts);
    }
    return facts;
  }

  private publish(facts: DatabaseFacts): void {
    if (!this.closed) this.engine.events.factsObserved(facts);
  }

  /** Null: it did not answer in time, or an active one did not commit. */
  private async askServer(): Promise<Row | null> {
    const { engine } = this;
    if (!engine.postmaster.isReady) return null;
    try {
      // A standby is asked every few milliseconds while the last record is awaited: on a connection that is kept.
      if (engine.directory.isStandby) {
        const [row] = await this.kept.query(LOOK, PROBE_DEADLINE_MS);
        if (row?.recovery === true) return row;
      }
      this.kept.close();
      return await engine.ask(async (session) => {
        const [row] = await session.query(LOOK);
        if (!row) return null;
        if (row.recovery === false && engine.clock.nowMs() - this.wroteAtMs > WRITE_PROOF_MS) {
          await session.query(WRITE).catch(async () => {
            await session.query(CREATE_PROBE);
            await session.query(WRITE);
          });
          this.wroteAtMs = engine.clock.nowMs();
        }
        return row;
      }, PROBE_DEADLINE_MS);
    } catch (error) {
      engine.logger.debug('PostgreSQL did not answer', { reason: String(error) });
      return null;
    }
  }

  private factsOf(row: Row, base: BaseFacts): DatabaseFacts {
    const recovery = row.recovery === true;
    const lsn = row.lsn as string | null;
    const replay = row.replay as string | null;
    const flushed = row.peer_flush as string | null;
    const streaming = recovery ? row.receiving === true : flushed !== null;
    const slotStatus = (row.slot_status as DatabaseFacts['slotStatus']) ?? null;
    const behind = recovery ? distance(lsn, replay) : flushed === null ? null : distance(lsn, flushed);
    return {
      ...base,
      role: recovery ? 'standby' : 'read-write',
      timeline: row.timeline as number | null,
      lsn,
      replayLsn: recovery ? replay : null,
      streaming,
      lagBytes: behind,
      lagSeconds: recovery
        ? behind === 0
          ? 0
          : ((row.replay_age as number | null) ?? null)
        : streaming
          ? ((row.peer_lag as number | null) ?? 0)
          : null,
      systemIdentifier: row.system as string,
      slotStatus: recovery ? null : slotStatus,
      retentionRemainingSeconds:
        recovery || !this.engine.peer || !lsn
          ? null
          : this.retention.observe(
              {
                atMs: this.engine.clock.nowMs(),
                position: parseLsn(lsn),
                safeBytes: row.slot_safe == null ? null : BigInt(row.slot_safe as string),
              },
              streaming,
            ),
    };
  }

  private async factsWithoutServer(running: boolean, base: BaseFacts): Promise<DatabaseFacts> {
    const { directory } = this.engine;
    const nothing = {
      timeline: null,
      lsn: null,
      replayLsn: null,
      streaming: false,
      lagBytes: null,
      lagSeconds: null,
      systemIdentifier: null,
      slotStatus: null,
      retentionRemainingSeconds: null,
    };
    if (!directory.exists) return { ...base, ...nothing, role: 'none' };
    const role = !running ? 'stopped' : directory.isStandby ? 'standby' : 'read-write';
    // While it runs and does not answer, pg_control is old news.
    if (running) return { ...base, ...nothing, role, systemIdentifier: this.last?.systemIdentifier ?? null };
    try {
      const control = await directory.control();
      const position =
        control.minimumRecoveryEnd > control.checkpointLsn ? control.minimumRecoveryEnd : control.checkpointLsn;
      return {
        ...base,
        ...nothing,
        role,
        timeline: timelineOf(control),
        lsn: formatLsn(position),
        systemIdentifier: control.systemIdentifier,
      };
    } catch {
      return { ...base, ...nothing, role };
    }
  }
}

type BaseFacts = Pick<
  DatabaseFacts,
  'running' | 'usable' | 'unusableSeconds' | 'foreignPostmaster' | 'restartsExhausted' | 'observedAt'
>;

function distance(ahead: string | null, behind: string | null): number | null {
  if (ahead === null || behind === null) return null;
  return Math.max(0, Number(parseLsn(ahead) - parseLsn(behind)));
}
