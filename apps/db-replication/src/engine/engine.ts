import { setTimeout as delay } from 'node:timers/promises';
import type { DatabaseFacts, DatabaseTask, DatabaseTaskResult, PeerIdentity } from '@understudy/contracts';
import { formatLsn } from '@understudy/contracts';
import type { Clock, Logger } from '@understudy/platform';
import { Programs } from '../adapters/programs.ts';
import { withLocal } from '../adapters/sql.ts';
import { StateFile } from '../adapters/state-file.ts';
import { timelineOf } from '../domain/control-data.ts';
import { messageOf, TaskFailure } from '../domain/task-failure.ts';
import type { EngineEvents } from '../ports/engine-events.ts';
import type { EngineSettings } from '../ports/engine-settings.ts';
import { quietContext, type TaskContext } from '../ports/task-context.ts';
import { ConfigurationFiles } from './configuration-files.ts';
import { DataDirectory } from './data-directory.ts';
import { FactsObserver, PROBE_SCHEMA } from './facts-observer.ts';
import { Housekeeping } from './housekeeping.ts';
import { Postmaster } from './postmaster.ts';
import { checkpoint, Promotion } from './promotion.ts';
import { Rejoin } from './rejoin.ts';
import { ReplicationSource } from './replication-source.ts';
import { Supervision } from './supervision.ts';
import { TaskDesk } from './task-desk.ts';

const FACTS_MS = 1000;
const TAKE_UP_LIMIT_MS = 5000;
const CHECKPOINT_LIMIT_MS = 5000;
/** Nobody waits for the checkpoint after a promotion, but a rewind of the peer does. */
const LATER_CHECKPOINT_MS = 600_000;
/** A standby that lost its stream finds the peer again within this time, or it is looked into. */
const REATTACH_MS = 3000;

type Found = Partial<DatabaseTaskResult>;

/** Runs this server's PostgreSQL: keeps it as it shall be, performs tasks on it, and reports what it is. */
export class DatabaseEngine {
  readonly desk: TaskDesk;
  private readonly programs: Programs;
  private readonly configuration: ConfigurationFiles;
  private readonly directory: DataDirectory;
  private readonly postmaster: Postmaster;
  private readonly observer: FactsObserver;
  private readonly source: ReplicationSource;
  private readonly promotion: Promotion;
  private readonly rejoin: Rejoin;
  private readonly supervision: Supervision;
  private readonly housekeeping: Housekeeping;
  private readonly state: StateFile;
  private peer: PeerIdentity | null = null;
  private timer: NodeJS.Timeout | undefined;
  private takingUp: Promise<void> | null = null;
  private observing: Promise<DatabaseFacts> | null = null;
  private keeping = false;
  private lastShape = '';
  private closed = false;

  constructor(
    settings: EngineSettings,
    private readonly events: EngineEvents,
    clock: Clock,
    private readonly logger: Logger,
    /** The pinned peer as the file has it now: it may have been pinned a moment ago. */
    private readonly readPeer: (() => Promise<PeerIdentity | null>) | null = null,
  ) {
    this.programs = new Programs(settings);
    this.configuration = new ConfigurationFiles(settings, this.programs, events);
    this.directory = new DataDirectory(settings.dataDirectory, this.programs, `${settings.dataDirectory}.rewinding`);
    this.postmaster = new Postmaster(settings, this.programs, this.configuration);
    this.observer = new FactsObserver(this.postmaster, this.directory, clock, settings.retentionSeconds);
    this.source = new ReplicationSource(this.postmaster.local, events);
    this.promotion = new Promotion(this.postmaster, this.observer);
    this.state = new StateFile(`${settings.paths.run}/database-intent.json`, settings.runId);
    this.rejoin = new Rejoin(
      settings,
      this.programs,
      this.configuration,
      this.directory,
      this.postmaster,
      events,
      (desired) => this.state.update({ desired }),
    );
    this.desk = new TaskDesk((task, context) => this.perform(task, context), this.state, logger);
    this.supervision = new Supervision(this.postmaster, events, clock, {
      shallRun: () => !this.desk.isBusy && ['active', 'standby'].includes(this.state.current.desired ?? ''),
      launch: (context) => this.launch(context),
      changed: () => void this.report(true),
    });
    const stop = () => this.postmaster.shutDown(quietContext());
    const restart = () => this.supervision.restart(stop);
    this.housekeeping = new Housekeeping(this.postmaster, this.directory, events, clock, logger, restart);
  }

  /**
   * Takes up what is there, and begins to watch. Starts nothing unless this very run of the server was told to. Reports from the
   * first moment on, even when the disk does not answer.
   */
  async start(): Promise<void> {
    this.timer = setInterval(() => void this.report(true), FACTS_MS);
    this.takingUp = this.takeUp();
    this.takingUp.catch((error: unknown) => this.logger.error('What is there could not be taken up', { error }));
    await Promise.race([this.takingUp, delay(TAKE_UP_LIMIT_MS, undefined, { ref: false })]);
    await this.report(true);
  }

  private async takeUp(): Promise<void> {
    await this.configuration.prepareDirectories();
    await this.rejoin.recover();
    await this.postmaster.locate();
    if (this.closed) return;
    this.postmaster.onEnd = () => this.supervision.look();
    this.supervision.start();
  }

  /** The pinned peer has changed: who may replicate, and whom to follow. */
  async setPeer(peer: PeerIdentity | null): Promise<void> {
    this.peer = peer;
    await this.configuration.prepareDirectories();
    await this.render();
    if (!this.postmaster.isForeign) this.postmaster.reload();
  }

  /** Facts as of now. */
  facts(): Promise<DatabaseFacts> {
    return this.observe();
  }

  /** `shutdown`: the whole server goes down, and PostgreSQL with it, in order. Otherwise it runs on and is found again. */
  async close(options: { shutdown: boolean }): Promise<void> {
    this.closed = true;
    clearInterval(this.timer);
    await this.supervision.stop();
    await this.desk.close();
    this.observer.close();
    if (!options.shutdown || (await this.postmaster.locate()) === null || this.postmaster.isForeign) return;
    await this.state.update({ desired: 'stopped' });
    if (!(await this.directory.lastShape()).isStandby) await checkpoint(this.postmaster, CHECKPOINT_LIMIT_MS);
    await this.postmaster.shutDown(quietContext());
  }

  private async perform(task: DatabaseTask, context: TaskContext): Promise<Found> {
    await this.takingUp;
    await this.supervision.yield();
    await this.postmaster.locate();
    if (this.postmaster.isForeign)
      throw new TaskFailure(
        'foreign-postmaster',
        `a PostgreSQL that was not started by Understudy runs in ${this.directory.path}: stop it, and keep its unit from starting it`,
      );
    if (this.readPeer !== null && (task.kind === 'prepare-source' || task.kind === 'follow-peer'))
      await this.setPeer(await this.readPeer());
    try {
      return await this.performOne(task, context);
    } finally {
      this.supervision.resume();
      void this.report(true);
    }
  }

  private async performOne(task: DatabaseTask, context: TaskContext): Promise<Found> {
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
        return this.discardCopy(context);
    }
  }

  private async startActive(context: TaskContext): Promise<Found> {
    const { exists, isStandby, isOccupied } = await this.directory.shape();
    if (isOccupied)
      throw new TaskFailure(
        'no-data',
        `${this.directory.path} is not empty and holds no database: move its content away`,
      );
    if (!exists) await this.directory.initialise(context);
    if (isStandby) throw new TaskFailure('is-standby', 'the data directory is a standby: it has to be promoted');
    await this.launch(context);
    await this.rejoin.adoptCopy();
    await this.state.update({ desired: 'active' });
    await this.sql(PROBE_SCHEMA);
    return {};
  }

  private async startStandby(context: TaskContext): Promise<Found> {
    const { exists, isStandby } = await this.directory.shape();
    if (!exists) throw new TaskFailure('no-data', 'there is no database on this server');
    if (!isStandby) throw new TaskFailure('not-standby', 'the database is no standby');
    await this.launch(context);
    await this.state.update({ desired: 'standby' });
    return {};
  }

  private async stop(context: TaskContext): Promise<Found> {
    await this.state.update({ desired: 'stopped' });
    this.observer.close();
    if (this.postmaster.running !== null) {
      if (!(await this.directory.lastShape()).isStandby) {
        context.step('checkpoint');
        await checkpoint(this.postmaster, CHECKPOINT_LIMIT_MS);
      }
      context.step('shutting down');
      await this.postmaster.shutDown(context);
    }
    await this.postmaster.endOrphans();
    return (await this.directory.shape()).exists ? this.endOfData(context) : {};
  }

  private async endOfData(context: TaskContext): Promise<Found> {
    try {
      const control = await this.directory.control();
      return { lsn: formatLsn(await this.directory.endOfData(control, context)), timeline: timelineOf(control) };
    } catch (error) {
      context.signal.throwIfAborted();
      // It is stopped, and that is what a stop is for; where it ends is unknown.
      const message = `PostgreSQL is stopped, but where its data end cannot be read: ${messageOf(error)}`;
      this.events.incident({ severity: 'warning', code: 'end-of-data-unknown', message });
      return {};
    }
  }

  private async prepareSource(): Promise<Found> {
    if (this.peer === null) throw new TaskFailure('not-paired', 'no peer is pinned');
    await this.source.prepare();
    await this.openSource();
    return {};
  }

  private async openSource(): Promise<void> {
    await this.state.update({ sourceRetired: false });
    await this.render();
    this.postmaster.reload();
  }

  private async retireSource(): Promise<Found> {
    await this.state.update({ sourceRetired: true });
    await this.render();
    if (this.postmaster.running === null) return {};
    this.postmaster.reload();
    await this.source.retire();
    return {};
  }

  private async followPeer(task: Extract<DatabaseTask, { kind: 'follow-peer' }>, context: TaskContext): Promise<Found> {
    const { peer } = this;
    if (peer === null) throw new TaskFailure('not-paired', 'no peer is pinned');
    await this.state.update({ sourceRetired: false });
    if (
      !task.forceCopy &&
      this.postmaster.running !== null &&
      (await this.directory.shape()).isStandby &&
      (await this.reattached(context))
    ) {
      await this.state.update({ desired: 'standby' });
      return { method: 'none' };
    }
    return this.rejoin.follow(peer, task, context);
  }

  private async reattached(context: TaskContext): Promise<boolean> {
    context.step('waiting for the stream');
    for (const until = performance.now() + REATTACH_MS; ; await delay(50)) {
      context.signal.throwIfAborted();
      if ((await this.observe()).streaming) return true;
      if (performance.now() > until || this.postmaster.running === null) return false;
    }
  }

  private async promote(requiredLsn: string | null, context: TaskContext): Promise<Found> {
    const { exists, isStandby } = await this.directory.shape();
    if (!exists) throw new TaskFailure('no-data', 'there is no database on this server');
    if (this.postmaster.running === null) {
      if (!isStandby) throw new TaskFailure('not-standby', 'the database is no standby');
      await this.launch(context);
    }
    const found = await this.promotion.run(requiredLsn, context);
    await this.rejoin.adoptCopy();
    await this.state.update({ desired: 'active' });
    if (this.peer !== null) await this.source.prepare();
    await this.openSource();
    void checkpoint(this.postmaster, LATER_CHECKPOINT_MS);
    return found;
  }

  private async discardCopy(context: TaskContext): Promise<Found> {
    if (!this.rejoin.holdsCopy) return {};
    await this.stop(context);
    await this.rejoin.discard();
    return {};
  }

  /** Starts what is in the directory; ends when it accepts connections. */
  private async launch(context: TaskContext): Promise<void> {
    if ((await this.directory.shape()).isHalfDone)
      throw new TaskFailure('start-failed', 'a rewind of the data directory was interrupted: it must not be opened');
    while (this.postmaster.running !== null) {
      try {
        return await this.postmaster.ready(context);
      } catch (error) {
        // It was ending already when it was found: then it is started.
        if (this.postmaster.running !== null || context.signal.aborted) throw error;
      }
    }
    await this.render();
    await this.directory.cleanSettings();
    context.step('starting PostgreSQL');
    await this.postmaster.launch();
    await this.postmaster.ready(context);
  }

  private async report(always: boolean): Promise<void> {
    if (this.closed) return;
    const facts = await this.observe();
    const { running, usable, role, streaming, timeline, slotStatus, restartsExhausted } = facts;
    const shape = JSON.stringify({ running, usable, role, streaming, timeline, slotStatus, restartsExhausted });
    if (always || shape !== this.lastShape) this.events.factsObserved(facts);
    this.lastShape = shape;
    if (this.desk.isBusy || this.keeping) return;
    this.keeping = true;
    await this.lookAfter(facts).finally(() => {
      this.keeping = false;
    });
  }

  private async lookAfter(facts: DatabaseFacts): Promise<void> {
    await this.housekeeping.run(facts);
    if (!facts.usable || this.peer === null || this.state.current.sourceRetired || this.desk.isBusy) return;
    await this.source
      .keepSlot(facts.role === 'read-write')
      .catch((error: unknown) => this.logger.debug('The slot for the peer could not be kept', { error }));
  }

  /** One look at a time; who asks meanwhile gets its result. */
  private observe(): Promise<DatabaseFacts> {
    this.observing ??= this.observer.observe(this.supervision.isExhausted).finally(() => {
      this.observing = null;
    });
    return this.observing;
  }

  private async render(): Promise<void> {
    const { isStandby } = await this.directory.shape();
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
