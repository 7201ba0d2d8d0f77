import { setTimeout as delay } from 'node:timers/promises';
import type { DatabaseFacts, DatabaseTask, DatabaseTaskResult, PeerIdentity } from '@understudy/contracts';
import { formatLsn, parseLsn } from '@understudy/contracts';
import type { Clock, Logger } from '@understudy/platform';
import { Programs } from '../adapters/programs.ts';
import { withLocal } from '../adapters/sql.ts';
import { StateFile } from '../adapters/state-file.ts';
import { REPLICATION_ROLE } from '../domain/connection-string.ts';
import { RestartPolicy } from '../domain/restart-policy.ts';
import { messageOf, TaskFailure } from '../domain/task-failure.ts';
import type { EngineEvents } from '../ports/engine-events.ts';
import type { EngineSettings } from '../ports/engine-settings.ts';
import type { TaskContext } from '../ports/task-context.ts';
import { ConfigurationFiles, PEER_SLOT } from './configuration-files.ts';
import { DataDirectory } from './data-directory.ts';
import { FactsObserver, PROBE_SCHEMA } from './facts-observer.ts';
import { Postmaster } from './postmaster.ts';
import { Rejoin } from './rejoin.ts';
import { TaskDesk } from './task-desk.ts';

const WATCH_MS = 100;
const FACTS_MS = 1000;
const SLOT_EVERY_MS = 5000;
const CHECKPOINT_LIMIT_MS = 5000;
const RECEIVE_STALL_MS = 10_000;
const PROMOTE_LIMIT_MS = 60_000;

/** What `pg_rewind` reads on its source, and what starts the peer's checkpoints. */
const SOURCE_GRANTS = `
grant execute on function pg_catalog.pg_ls_dir(text, boolean, boolean), pg_catalog.pg_stat_file(text, boolean),
  pg_catalog.pg_read_binary_file(text), pg_catalog.pg_read_binary_file(text, bigint, bigint, boolean) to ${REPLICATION_ROLE};
do $$ begin
  if current_setting('server_version_num')::int >= 150000 then execute 'grant pg_checkpoint to ${REPLICATION_ROLE}'; end if;
end $$`;

/** Runs this server's PostgreSQL: keeps it as it shall be, performs tasks on it, and reports what it is. */
export class DatabaseEngine {
  readonly desk: TaskDesk;
  private readonly programs: Programs;
  private readonly configuration: ConfigurationFiles;
  private readonly directory: DataDirectory;
  private readonly postmaster: Postmaster;
  private readonly observer: FactsObserver;
  private readonly rejoin: Rejoin;
  private readonly state: StateFile;
  private readonly restarts = new RestartPolicy();
  private peer: PeerIdentity | null = null;
  private timers: NodeJS.Timeout[] = [];
  private reviving = false;
  private reviveAtMs = 0;
  private observing: Promise<DatabaseFacts> | null = null;
  private lastShape = '';
  private slotAtMs = 0;
  private closed = false;

  constructor(
    settings: EngineSettings,
    private readonly events: EngineEvents,
    private readonly clock: Clock,
    private readonly logger: Logger,
    /** The pinned peer as the file has it now: it may have been pinned a moment ago. */
    private readonly readPeer: (() => Promise<PeerIdentity | null>) | null = null,
  ) {
    this.programs = new Programs(settings);
    this.configuration = new ConfigurationFiles(settings, this.programs, events);
    this.directory = new DataDirectory(settings.dataDirectory, this.programs, `${settings.dataDirectory}.rewinding`);
    this.postmaster = new Postmaster(settings, this.programs, this.configuration);
    this.observer = new FactsObserver(this.postmaster, this.directory, clock, settings.retentionSeconds);
    this.rejoin = new Rejoin(settings, this.programs, this.configuration, this.directory, this.postmaster, events);
    this.state = new StateFile(`${settings.paths.run}/database-intent.json`, settings.runId);
    this.desk = new TaskDesk((task, context) => this.perform(task, context), this.state, logger);
  }

  /** Takes up what is there, and begins to watch. Starts nothing unless this very run of the server was told to. */
  async start(): Promise<void> {
    this.configuration.prepareDirectories();
    await this.rejoin.recover();
    this.timers = [setInterval(() => void this.watch(), WATCH_MS), setInterval(() => void this.report(true), FACTS_MS)];
    await this.report(true);
  }

  /** The pinned peer has changed: who may replicate, and whom to follow. */
  async setPeer(peer: PeerIdentity | null): Promise<void> {
    this.peer = peer;
    await this.render();
    this.postmaster.reload();
  }

  /** Facts as of now. */
  facts(): Promise<DatabaseFacts> {
    return this.observe();
  }

  /** `shutdown`: the whole server goes down, and PostgreSQL with it, in order. Otherwise it runs on and is found again. */
  async close(options: { shutdown: boolean }): Promise<void> {
    this.closed = true;
    for (const timer of this.timers) clearInterval(timer);
    if (options.shutdown && this.postmaster.running !== null) {
      this.observer.close();
      await this.checkpoint();
      await this.postmaster.shutDown(quietContext());
    }
    this.observer.close();
  }

  private async perform(task: DatabaseTask, context: TaskContext): Promise<Partial<DatabaseTaskResult>> {
    this.restarts.reset();
    while (this.reviving) await delay(5);
    if (this.postmaster.isForeign && task.kind !== 'stop')
      throw new TaskFailure(
        'foreign-postmaster',
        `a PostgreSQL that was not started by Understudy runs in ${this.directory.path}: stop it, and keep its unit from starting it`,
      );
    if (this.readPeer !== null && (task.kind === 'prepare-source' || task.kind === 'follow-peer'))
      await this.setPeer(await this.readPeer());
    try {
      return await this.performOne(task, context);
    } finally {
      void this.report(true);
    }
  }

  private async performOne(task: DatabaseTask, context: TaskContext): Promise<Partial<DatabaseTaskResult>> {
    switch (task.kind) {
      case 'start-active':
        return this.startActive(context);
      case 'start-standby':
        return this.startStandby(context);
      case 'stop':
        return this.stop(context);
      case 'prepare-source':
        return this.prepareSource();
      case 'retire-source':
        return this.retireSource();
      case 'follow-peer':
        return this.followPeer(task, context);
      case 'promote':
        return this.promote(task.requiredLsn, context);
      case 'discard-copy':
        await this.stop(context);
        await this.rejoin.discard();
        return {};
    }
  }

  private async startActive(context: TaskContext): Promise<Partial<DatabaseTaskResult>> {
    if (this.directory.isOccupied)
      throw new TaskFailure(
        'no-data',
        `${this.directory.path} is not empty and holds no database: move its content away`,
      );
    if (this.directory.isHalfDone)
      throw new TaskFailure('start-failed', 'a rewind of the data directory was interrupted: it must not be opened');
    if (!this.directory.exists) await this.initialise(context);
    if (this.directory.isStandby)
      throw new TaskFailure('is-standby', 'the data directory is a standby: it has to be promoted');
    await this.state.update({ desired: 'active' });
    if (this.postmaster.running === null) {
      await this.render();
      await this.directory.cleanSettings();
      context.step('starting');
      await this.postmaster.launch();
    }
    await this.postmaster.ready(context);
    await this.sql(PROBE_SCHEMA);
    return {};
  }

  private async initialise(context: TaskContext): Promise<void> {
    context.step('making an empty database');
    await this.directory.prepareEmpty(this.directory.path);
    await this.programs.run(
      'initdb',
      [
        '-D',
        this.directory.path,
        '-U',
        'postgres',
        '-A',
        'trust',
        '-E',
        'UTF8',
        '--locale=C.UTF-8',
        '--data-checksums',
        '--no-instructions',
      ],
      { signal: context.signal, onOutputLine: () => context.advance(1) },
    );
  }

  private async startStandby(context: TaskContext): Promise<Partial<DatabaseTaskResult>> {
    if (!this.directory.exists) throw new TaskFailure('no-data', 'there is no database on this server');
    if (this.directory.isHalfDone)
      throw new TaskFailure('start-failed', 'a rewind of the data directory was interrupted: it must not be opened');
    if (!this.directory.isStandby) throw new TaskFailure('not-standby', 'the database is no standby');
    await this.state.update({ desired: 'standby' });
    if (this.postmaster.running === null) {
      await this.render();
      await this.directory.cleanSettings();
      context.step('starting as a standby');
      await this.postmaster.launch();
    }
    await this.postmaster.ready(context);
    return {};
  }

  private async stop(context: TaskContext): Promise<Partial<DatabaseTaskResult>> {
    await this.state.update({ desired: 'stopped' });
    this.observer.close();
    if (!this.directory.exists) return { lsn: null };
    if (this.postmaster.running !== null) {
      const wasStandby = this.directory.isStandby;
      if (!wasStandby) {
        context.step('checkpoint');
        await this.checkpoint();
      }
      context.step('shutting down');
      await this.postmaster.shutDown(context);
    }
    const control = await this.directory.control();
    return { lsn: formatLsn(await this.directory.endOfWal(control)), timeline: control.checkpointTimeline };
  }

  private async prepareSource(): Promise<Partial<DatabaseTaskResult>> {
    if (this.peer === null) throw new TaskFailure('not-paired', 'no peer is pinned');
    await this.sql(`do $$ begin if not exists (select from pg_roles where rolname = '${REPLICATION_ROLE}') then create role ${REPLICATION_ROLE}; end if; end $$;
      alter role ${REPLICATION_ROLE} login replication; ${SOURCE_GRANTS}`);
    await this.keepSlot(true);
    await this.state.update({ sourceRetired: false });
    await this.render();
    this.postmaster.reload();
    return {};
  }

  private async retireSource(): Promise<Partial<DatabaseTaskResult>> {
    await this.state.update({ sourceRetired: true });
    await this.render();
    if (this.postmaster.running === null) return {};
    this.postmaster.reload();
    await this.sql(
      `do $$ begin if exists (select from pg_roles where rolname = '${REPLICATION_ROLE}') then alter role ${REPLICATION_ROLE} nologin; end if; end $$`,
    );
    for (let attempt = 0; attempt < 50; attempt++) {
      const left = await this.sql(
        `select pg_terminate_backend(active_pid) from pg_replication_slots where slot_name = '${PEER_SLOT}' and active`,
      );
      if (left.length === 0) break;
      await delay(50);
    }
    await this.sql(
      `select pg_drop_replication_slot(slot_name) from pg_replication_slots where slot_name = '${PEER_SLOT}'`,
    );
    return {};
  }

  private async followPeer(
    task: Extract<DatabaseTask, { kind: 'follow-peer' }>,
    context: TaskContext,
  ): Promise<Partial<DatabaseTaskResult>> {
    if (this.peer === null) throw new TaskFailure('not-paired', 'no peer is pinned');
    if (!task.forceCopy && this.directory.isStandby && (await this.observe()).streaming) {
      await this.state.update({ desired: 'standby' });
      return { method: 'none' };
    }
    // while it is worked on nobody else may start or stop it; what it shall be is said when it is
    const found = await this.rejoin.follow(this.peer, task, context);
    await this.state.update({ desired: 'standby', sourceRetired: false });
    return found;
  }

  private async promote(requiredLsn: string | null, context: TaskContext): Promise<Partial<DatabaseTaskResult>> {
    if (this.postmaster.running === null) throw new TaskFailure('promotion-failed', 'PostgreSQL is not running');
    if (!this.directory.isStandby) throw new TaskFailure('not-standby', 'the database is no standby');
    if (requiredLsn !== null) await this.awaitReceived(parseLsn(requiredLsn), context);
    const [before] = await this.sql('select timeline_id as timeline from pg_control_checkpoint()');
    context.step('promoting');
    await this.sql(
      'select case when pg_is_wal_replay_paused() then pg_wal_replay_resume() end; select pg_promote(false)',
    );
    const until = performance.now() + PROMOTE_LIMIT_MS;
    for (;;) {
      const [row] = await this.sql('select pg_is_in_recovery() as standby').catch(() => []);
      if (row?.standby === false) break;
      if (this.postmaster.running === null)
        throw new TaskFailure('promotion-failed', 'PostgreSQL has ended during the promotion');
      if (performance.now() > until)
        throw new TaskFailure('promotion-failed', `still in recovery after ${PROMOTE_LIMIT_MS / 1000} s`);
      context.advance(1);
      await delay(5);
    }
    const [after] = await this.sql(
      `select ('x' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8))::bit(32)::int as timeline, pg_current_wal_lsn()::text as lsn`,
    );
    if (Number(after?.timeline) <= Number(before?.timeline))
      throw new TaskFailure('promotion-failed', `the timeline is still ${String(after?.timeline)}`);
    await this.state.update({ desired: 'active', sourceRetired: false });
    await this.keepSlot(true);
    await this.render();
    this.postmaster.reload();
    void this.checkpoint();
    return { timeline: Number(after?.timeline), lsn: String(after?.lsn) };
  }

  private async awaitReceived(required: bigint, context: TaskContext): Promise<void> {
    let received = -1n;
    let grewAtMs = performance.now();
    for (;;) {
      context.signal.throwIfAborted();
      const now = await this.observer.received();
      if (now !== null && now >= required) return;
      if (now !== null && now > received) {
        received = now;
        grewAtMs = performance.now();
        context.advance(1);
      }
      if (performance.now() - grewAtMs > RECEIVE_STALL_MS)
        throw new TaskFailure(
          'data-missing',
          `received up to ${formatLsn(received < 0n ? 0n : received)}, needed ${formatLsn(required)}`,
        );
      await delay(10);
    }
  }

  /** Looks every 100 ms whether PostgreSQL lives as it shall; one that has died is started again in place, at once. */
  private async watch(): Promise<void> {
    const { desired } = this.state.current;
    if (this.closed || this.reviving || this.desk.isBusy || desired === null || desired === 'stopped') return;
    if (this.postmaster.running !== null || this.clock.nowMs() < this.reviveAtMs) return;
    this.reviving = true;
    try {
      void this.report(true);
      this.events.incident({
        severity: 'warning',
        code: 'postgresql-ended',
        message: 'PostgreSQL has ended unexpectedly and is started again',
      });
      await this.render();
      await this.postmaster.launch();
      await this.postmaster.ready(quietContext());
    } catch (error) {
      this.reviveAtMs = this.clock.nowMs() + this.restarts.failed(this.clock.nowMs());
      this.events.incident({
        severity: 'critical',
        code: 'postgresql-start-failed',
        message: `PostgreSQL could not be started: ${messageOf(error)}`,
      });
    } finally {
      this.reviving = false;
      void this.report(true);
    }
  }

  private async report(always: boolean): Promise<void> {
    if (this.closed) return;
    const facts = await this.observe();
    const { running, usable, role, streaming, timeline, slotStatus } = facts;
    const shape = JSON.stringify({ running, usable, role, streaming, timeline, slotStatus });
    if (always || shape !== this.lastShape) this.events.factsObserved(facts);
    this.lastShape = shape;
    if (usable && this.peer !== null && !this.desk.isBusy && this.clock.nowMs() - this.slotAtMs > SLOT_EVERY_MS) {
      this.slotAtMs = this.clock.nowMs();
      await this.keepSlot(role === 'read-write').catch((error: unknown) =>
        this.logger.debug('The slot for the peer could not be kept', { error }),
      );
    }
  }

  /** One look at a time; who asks meanwhile gets the result of a look that began later, unless the one under way has just begun. */
  private observe(): Promise<DatabaseFacts> {
    this.observing ??= this.observer.observe(this.restarts.isExhausted(this.clock.nowMs())).finally(() => {
      this.observing = null;
    });
    return this.observing;
  }

  /** The slot that keeps WAL for the peer: on the active server for its stream, on the standby as its mirror, moved along with replay. */
  private async keepSlot(isActive: boolean): Promise<void> {
    if (this.state.current.sourceRetired && !this.desk.isBusy) return;
    const [slot] = await this.sql(`select wal_status from pg_replication_slots where slot_name = '${PEER_SLOT}'`);
    if (slot?.wal_status === 'lost') {
      await this.sql(`select pg_drop_replication_slot('${PEER_SLOT}')`);
      this.events.incident({
        severity: 'warning',
        code: 'slot-lost',
        message:
          'the WAL kept for the peer outgrew database.walKeepLimit and was given up: the peer needs a full copy when it returns',
      });
    }
    if (slot === undefined || slot.wal_status === 'lost')
      await this.sql(`select pg_create_physical_replication_slot('${PEER_SLOT}', true)`);
    else if (!isActive)
      await this.sql(
        `select pg_replication_slot_advance('${PEER_SLOT}', pg_last_wal_replay_lsn()) from pg_replication_slots where slot_name = '${PEER_SLOT}' and not active and restart_lsn < pg_last_wal_replay_lsn()`,
      );
  }

  private async checkpoint(): Promise<void> {
    await withLocal(this.postmaster.local, CHECKPOINT_LIMIT_MS, (session) => session.query('CHECKPOINT')).catch(
      () => undefined,
    );
  }

  private async render(): Promise<void> {
    const isStandby = this.directory.exists && this.directory.isStandby;
    const capacity = isStandby ? ((await this.directory.control().catch(() => null))?.capacity ?? null) : null;
    await this.configuration.render({
      peer: this.peer,
      isStandby,
      sourceRetired: this.state.current.sourceRetired,
      capacity,
    });
  }

  private sql(text: string) {
    return withLocal(this.postmaster.local, 5000, (session) => session.query(text));
  }
}

/** For work that nobody follows. */
function quietContext(): TaskContext {
  return {
    signal: new AbortController().signal,
    step: () => undefined,
    advance: () => undefined,
    percent: () => undefined,
  };
}
