import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { DatabaseFacts, DatabaseTask, DatabaseTaskResult, PeerIdentity } from '@understudy/contracts';
import type { Clock, Logger } from '@understudy/platform';
import { Programs } from '../adapters/programs.ts';
import { StateFile } from '../adapters/state-file.ts';
import { TaskFailure } from '../domain/task-failure.ts';
import type { EngineEvents } from '../ports/engine-events.ts';
import type { EngineSettings } from '../ports/engine-settings.ts';
import { quietContext, type TaskContext } from '../ports/task-context.ts';
import { Beginnings } from './beginnings.ts';
import { ConfigurationFiles } from './configuration-files.ts';
import { DataDirectory } from './data-directory.ts';
import { FactsObserver } from './facts-observer.ts';
import { Housekeeping } from './housekeeping.ts';
import { Postmaster } from './postmaster.ts';
import { checkpoint, Promotion } from './promotion.ts';
import { Rejoin } from './rejoin.ts';
import { ReplicationSource } from './replication-source.ts';
import { RightToServe } from './right-to-serve.ts';
import { Supervision } from './supervision.ts';
import { TaskDesk } from './task-desk.ts';
import { DatabaseTasks } from './tasks.ts';

const FACTS_MS = 1000;
const TAKE_UP_LIMIT_MS = 5000;
const CHECKPOINT_LIMIT_MS = 5000;
/** A look at a PostgreSQL that does not answer is not waited for longer when the service ends. */
const LAST_LOOK_LIMIT_MS = 2000;

/** Runs this server's PostgreSQL: keeps it as it shall be, performs tasks on it, and reports what it is. */
export class DatabaseEngine {
  readonly desk: TaskDesk;
  private readonly programs: Programs;
  private readonly configuration: ConfigurationFiles;
  private readonly directory: DataDirectory;
  private readonly postmaster: Postmaster;
  private readonly observer: FactsObserver;
  private readonly source: ReplicationSource;
  private readonly rejoin: Rejoin;
  private readonly tasks: DatabaseTasks;
  private readonly supervision: Supervision;
  private readonly housekeeping: Housekeeping;
  private readonly state: StateFile;
  private peer: PeerIdentity | null = null;
  /** The peer has changed while nobody could configure PostgreSQL for it: a task is at work, or what is there is not taken up yet. */
  private isPeerNew = false;
  /** PostgreSQL was configured for what was decided last about its commits. */
  private isAsDecided = false;
  private rendering: Promise<void> = Promise.resolve();
  private timer: NodeJS.Timeout | undefined;
  private takingUp: Promise<void> | null = null;
  private hasTakenUp = false;
  private observing: Promise<DatabaseFacts> | null = null;
  private keeping = false;
  private readonly looks = new Set<Promise<void>>();
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
    const { directory, postmaster, observer, source, rejoin, state } = this;
    const right = new RightToServe(settings, clock);
    const promotion = new Promotion(postmaster, observer, right);
    this.tasks = new DatabaseTasks({
      ...{ directory, postmaster, observer, source, promotion, right, rejoin, state, events },
      beginnings: new Beginnings(join(settings.paths.root, 'database.json')),
      peer: () => this.peer,
      render: () => this.render(),
      observe: () => this.observe(),
    });
    this.desk = new TaskDesk(
      (task, context) => this.perform(task, context),
      this.state,
      logger,
      (task) => this.tasks.atOnce(task),
    );
    this.supervision = new Supervision(this.postmaster, events, clock, {
      shallRun: () => !this.desk.isBusy && ['active', 'standby'].includes(this.state.current.desired ?? ''),
      launch: (context) => this.tasks.launch(context),
      changed: () => void this.report(true),
    });
    const stop = () => this.postmaster.shutDown(quietContext());
    const restart = () => this.supervision.restart(stop);
    const endpoint = () => (this.peer === null ? null : { host: settings.address, port: settings.port });
    this.housekeeping = new Housekeeping(postmaster, directory, events, clock, logger, restart, endpoint);
  }

  /**
   * Takes up what is there, and begins to watch. Starts nothing unless this very run of the server was told to. Reports from the
   * first moment on, even when the disk does not answer.
   */
  async start(): Promise<void> {
    this.timer = setInterval(() => {
      this.takenUp().catch(() => undefined);
      void this.report(true);
    }, FACTS_MS);
    const taken = this.takenUp().catch((error: unknown) =>
      this.logger.error('What is there could not be taken up; it is tried again', { error }),
    );
    await Promise.race([taken, delay(TAKE_UP_LIMIT_MS, undefined, { ref: false })]);
    await this.report(true);
  }

  /** What is there has been taken up; tried anew when it failed before. */
  private takenUp(): Promise<void> {
    this.takingUp ??= this.takeUp().catch((error: unknown) => {
      this.takingUp = null;
      throw error;
    });
    return this.takingUp;
  }

  private async takeUp(): Promise<void> {
    await this.configuration.prepareDirectories();
    await this.rejoin.recover();
    await this.postmaster.locate();
    do await this.configureOrTell();
    while (this.isPeerNew);
    this.hasTakenUp = true;
    if (this.closed) return;
    this.postmaster.onEnd = () => this.supervision.look();
    this.supervision.start();
  }

  /** The pinned peer has changed: who may replicate, and whom to follow. What a task at work has begun with stays until its end. */
  async setPeer(peer: PeerIdentity | null): Promise<void> {
    this.peer = peer;
    if (this.desk.isBusy || !this.hasTakenUp) this.isPeerNew = true;
    else await this.configure();
  }

  /** Where a failure must not stop what comes next: every start makes the configuration anew. */
  private async configureOrTell(): Promise<void> {
    await this.configure().catch((error: unknown) =>
      this.logger.error('PostgreSQL could not be configured', { error }),
    );
  }

  private async configure(): Promise<void> {
    this.isPeerNew = false;
    await this.configuration.prepareDirectories();
    await this.render();
    if (!this.postmaster.isForeign) this.postmaster.reload();
  }

  /**
   * Commits of an active PostgreSQL shall wait for the peer, or not any more, which lets those go on that wait. It holds over every
   * restart of PostgreSQL and of this service; what an older decision says is nothing.
   */
  async setCommitsWait(commits: { sequence: number; waitSince: number | null }): Promise<void> {
    const before = this.state.current.commits;
    if (commits.sequence < before.sequence) return;
    if (commits.waitSince !== before.waitSince) this.isAsDecided = false;
    await this.state.update({ commits });
    if (this.isAsDecided || !this.hasTakenUp || this.closed) return;
    await this.render();
    if (!this.postmaster.isForeign) this.postmaster.reload();
    this.isAsDecided = this.state.current.commits.waitSince === commits.waitSince;
  }

  /** Facts as of now. */
  facts(): Promise<DatabaseFacts> {
    return this.observe();
  }

  /** `shutdown`: the whole server goes down, and PostgreSQL with it, in order. Otherwise it runs on and is found again. */
  async close(options: { shutdown: boolean }): Promise<void> {
    this.closed = true;
    this.housekeeping.end();
    clearInterval(this.timer);
    await this.supervision.stop();
    await this.desk.close();
    await Promise.race([Promise.allSettled(this.looks), delay(LAST_LOOK_LIMIT_MS, undefined, { ref: false })]);
    this.observer.close();
    if (!options.shutdown || (await this.postmaster.locate()) === null || this.postmaster.isForeign) return;
    await this.state.update({ desired: 'stopped' });
    if (!(await this.directory.lastShape()).isStandby) await checkpoint(this.postmaster, CHECKPOINT_LIMIT_MS);
    await this.postmaster.shutDown(quietContext());
  }

  private async perform(task: DatabaseTask, context: TaskContext): Promise<Partial<DatabaseTaskResult>> {
    await this.takenUp();
    await this.supervision.yield();
    await this.postmaster.locate();
    if (this.postmaster.isForeign)
      throw new TaskFailure(
        'foreign-postmaster',
        `a PostgreSQL that was not started by Understudy runs in ${this.directory.path}: stop it, and keep its unit from starting it`,
      );
    if (this.readPeer !== null && (task.kind === 'prepare-source' || task.kind === 'follow-peer')) {
      this.peer = await this.readPeer();
      await this.configure();
    }
    try {
      return await this.tasks.perform(task, context);
    } finally {
      while (this.isPeerNew) await this.configureOrTell();
      this.supervision.resume();
      void this.report(true);
    }
  }

  private async report(always: boolean): Promise<void> {
    if (this.closed) return;
    const look = this.look(always).finally(() => this.looks.delete(look));
    this.looks.add(look);
    await look;
  }

  /** Nothing new is asked of PostgreSQL once the service ends. */
  private async look(always: boolean): Promise<void> {
    const facts = await this.observe();
    if (this.closed) return;
    const { running, usable, role, streaming, timeline, slotStatus, restartsExhausted, commitsConfirmedSince } = facts;
    const shape = JSON.stringify([
      running,
      usable,
      role,
      streaming,
      timeline,
      slotStatus,
      restartsExhausted,
      commitsConfirmedSince,
    ]);
    if (always || shape !== this.lastShape) this.events.factsObserved(facts);
    this.lastShape = shape;
    if (this.desk.isBusy || this.keeping) return;
    this.keeping = true;
    await this.lookAfter(facts).finally(() => {
      this.keeping = false;
    });
  }

  private async lookAfter(facts: DatabaseFacts): Promise<void> {
    if (facts.foreignPostmaster) return;
    await this.housekeeping.run(facts);
    if (this.closed || !facts.usable || this.peer === null || this.state.current.sourceRetired || this.desk.isBusy)
      return;
    await this.source
      .keepSlot(facts.role === 'read-write')
      .catch((error: unknown) => this.logger.debug('The slot for the peer could not be kept', { error }));
  }

  /** One look at a time; who asks meanwhile gets its result. */
  private observe(): Promise<DatabaseFacts> {
    this.observing ??= this.observer.observe(this.supervision.isExhausted, this.waitSince).finally(() => {
      this.observing = null;
    });
    return this.observing;
  }

  /** The decision since which commits wait, once PostgreSQL was told so. */
  private get waitSince(): number | null {
    return this.isAsDecided ? this.state.current.commits.waitSince : null;
  }

  /** One after the other: what was read first is not written last. */
  private render(): Promise<void> {
    this.rendering = this.rendering.catch(() => undefined).then(() => this.renderNow());
    return this.rendering;
  }

  private async renderNow(): Promise<void> {
    const { isStandby } = await this.directory.shape();
    const capacity = isStandby ? ((await this.directory.control().catch(() => null))?.capacity ?? null) : null;
    await this.configuration.render({
      peer: this.peer,
      isStandby,
      sourceRetired: this.state.current.sourceRetired,
      capacity,
      commitsWait: this.state.current.commits.waitSince !== null,
    });
  }
}
