import { setTimeout as delay } from 'node:timers/promises';
import type { DatabaseFacts, DatabaseTask, DatabaseTaskResult, PeerIdentity } from '@understudy/contracts';
import { formatLsn } from '@understudy/contracts';
import { withLocal } from '../adapters/sql.ts';
import type { StateFile } from '../adapters/state-file.ts';
import { timelineOf } from '../domain/control-data.ts';
import { messageOf, TaskFailure } from '../domain/task-failure.ts';
import type { EngineEvents } from '../ports/engine-events.ts';
import type { TaskContext } from '../ports/task-context.ts';
import type { Beginnings } from './beginnings.ts';
import type { DataDirectory } from './data-directory.ts';
import { type FactsObserver, PROBE_SCHEMA } from './facts-observer.ts';
import type { Postmaster } from './postmaster.ts';
import { checkpoint, type Promotion } from './promotion.ts';
import type { Rejoin } from './rejoin.ts';
import type { ReplicationSource } from './replication-source.ts';
import type { RightToServe } from './right-to-serve.ts';

const ASK_MS = 5000;
const CHECKPOINT_LIMIT_MS = 5000;
/** Nobody waits for the checkpoint after a promotion, but a rewind of the peer does. */
const LATER_CHECKPOINT_MS = 600_000;
/** A standby that lost its stream finds the peer again within this time, or it is looked into. */
const REATTACH_MS = 3000;

type Found = Partial<DatabaseTaskResult>;

/** What the tasks work with. */
export interface TaskParts {
  readonly directory: DataDirectory;
  readonly postmaster: Postmaster;
  readonly observer: FactsObserver;
  readonly source: ReplicationSource;
  readonly promotion: Promotion;
  readonly right: RightToServe;
  readonly rejoin: Rejoin;
  readonly state: StateFile;
  readonly beginnings: Beginnings;
  readonly events: EngineEvents;
  /** The pinned peer. */
  peer(): PeerIdentity | null;
  /** Writes the configuration for what the directory is now. */
  render(): Promise<void>;
  /** Facts as of now. */
  observe(): Promise<DatabaseFacts>;
}

/** The procedures that others can ask for; one runs at a time. Each is safe to repeat from any point. */
export class DatabaseTasks {
  constructor(private readonly parts: TaskParts) {}

  /** Throws `TaskFailure`, or the signal's reason. */
  async perform(task: DatabaseTask, context: TaskContext): Promise<Found> {
    switch (task.kind) {
      case 'start-active':
        return this.startActive(context);
      case 'start-standby':
        return this.startStandby(context);
      case 'stop':
        return this.stop(context);
      case 'fence':
        return this.fence(context);
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
    const { exists, isStandby, isOccupied } = await this.parts.directory.shape();
    if (isOccupied)
      throw new TaskFailure(
        'no-data',
        `${this.parts.directory.path} is not empty and holds no database: move its content away`,
      );
    if (!exists) await this.begin(context);
    if (isStandby) throw new TaskFailure('is-standby', 'the data directory is a standby: it has to be promoted');
    await this.launch(context);
    await this.parts.rejoin.adoptCopy();
    await this.parts.state.update({ desired: 'active' });
    await withLocal(this.parts.postmaster.local, ASK_MS, (session) => session.query(PROBE_SCHEMA));
    await this.parts.beginnings.note();
    // a pair was dissolved while the database was closed: its slot would keep WAL for nobody
    if (this.parts.state.current.sourceRetired && this.parts.peer() === null) await this.parts.source.retire();
    return {};
  }

  /** An empty database, where there has never been one: one that is gone would be replaced by it, on the peer too. */
  private async begin(context: TaskContext): Promise<void> {
    const { path } = this.parts.directory;
    if (this.parts.peer() !== null)
      throw new TaskFailure(
        'no-data',
        `there is no database in ${path}: a paired server does not begin an empty one, its peer would follow it`,
      );
    if (await this.parts.beginnings.isNoted())
      throw new TaskFailure(
        'no-data',
        `the database in ${path} is gone (a disk that is not mounted?): bring it back, or remove ${this.parts.beginnings.file} to begin an empty one`,
      );
    await this.parts.directory.initialise(context);
  }

  private async startStandby(context: TaskContext): Promise<Found> {
    const { exists, isStandby } = await this.parts.directory.shape();
    if (!exists) throw new TaskFailure('no-data', 'there is no database on this server');
    if (!isStandby) throw new TaskFailure('not-standby', 'the database is no standby');
    await this.launch(context);
    await this.parts.state.update({ desired: 'standby' });
    return {};
  }

  private async stop(context: TaskContext): Promise<Found> {
    await this.parts.state.update({ desired: 'stopped' });
    this.parts.observer.close();
    if (this.parts.postmaster.running !== null) {
      if (!(await this.parts.directory.lastShape()).isStandby) {
        context.step('checkpoint');
        await checkpoint(this.parts.postmaster, CHECKPOINT_LIMIT_MS);
      }
      context.step('shutting down');
      await this.parts.postmaster.shutDown(context);
    }
    await this.parts.postmaster.endOrphans();
    return (await this.parts.directory.shape()).exists ? this.endOfData(context) : { hasDatabase: false };
  }

  /** Law of the lease: what may not serve any more is closed within the time that is left, whatever else is at work. */
  atOnce(task: DatabaseTask): void {
    if (task.kind !== 'fence') return;
    this.parts.state.update({ desired: 'stopped' }).catch(() => undefined);
    this.parts.postmaster.killAtOnce();
  }

  private async fence(context: TaskContext): Promise<Found> {
    await this.parts.state.update({ desired: 'stopped' });
    this.parts.observer.close();
    context.step('closing at once');
    await this.parts.postmaster.kill(context);
    return {};
  }

  private async endOfData(context: TaskContext): Promise<Found> {
    try {
      const control = await this.parts.directory.control();
      return { lsn: formatLsn(await this.parts.directory.endOfData(control, context)), timeline: timelineOf(control) };
    } catch (error) {
      context.signal.throwIfAborted();
      // It is stopped, and that is what a stop is for; where it ends is unknown.
      const message = `PostgreSQL is stopped, but where its data end cannot be read: ${messageOf(error)}`;
      this.parts.events.incident({ severity: 'warning', code: 'end-of-data-unknown', message });
      return {};
    }
  }

  private async prepareSource(): Promise<Found> {
    if (this.parts.peer() === null) throw new TaskFailure('not-paired', 'no peer is pinned');
    await this.parts.source.prepare();
    await this.openSource();
    return {};
  }

  private async openSource(): Promise<void> {
    await this.parts.state.update({ sourceRetired: false });
    await this.parts.render();
    this.parts.postmaster.reload();
  }

  private async retireSource(): Promise<Found> {
    await this.parts.state.update({ sourceRetired: true });
    await this.parts.render();
    if (this.parts.postmaster.running === null) return {};
    this.parts.postmaster.reload();
    await this.parts.source.retire();
    return {};
  }

  private async followPeer(task: Extract<DatabaseTask, { kind: 'follow-peer' }>, context: TaskContext): Promise<Found> {
    const peer = this.parts.peer();
    if (peer === null) throw new TaskFailure('not-paired', 'no peer is pinned');
    await this.parts.state.update({ sourceRetired: false });
    if (
      !task.forceCopy &&
      this.parts.postmaster.running !== null &&
      (await this.parts.directory.shape()).isStandby &&
      (await this.reattached(context))
    ) {
      await this.parts.state.update({ desired: 'standby' });
      return { method: 'none' };
    }
    return this.parts.rejoin.follow(peer, task, context);
  }

  private async reattached(context: TaskContext): Promise<boolean> {
    context.step('waiting for the stream');
    for (const until = performance.now() + REATTACH_MS; ; await delay(50)) {
      context.signal.throwIfAborted();
      if ((await this.parts.observe()).streaming) return true;
      if (performance.now() > until || this.parts.postmaster.running === null) return false;
    }
  }

  private async promote(requiredLsn: string | null, context: TaskContext): Promise<Found> {
    const { exists, isStandby } = await this.parts.directory.shape();
    if (!exists) throw new TaskFailure('no-data', 'there is no database on this server');
    if (this.parts.postmaster.running === null) {
      if (!isStandby) throw new TaskFailure('not-standby', 'the database is no standby');
      await this.launch(context);
    }
    const found = await this.parts.promotion.run(requiredLsn, context).catch(async (error: unknown) => {
      // It was stopped on its way: nothing starts what it has become but another task.
      if (context.signal.aborted) await this.parts.state.update({ desired: 'stopped' });
      throw error;
    });
    await this.parts.rejoin.adoptCopy();
    await this.parts.state.update({ desired: 'active' });
    if (this.parts.peer() !== null)
      await this.parts.source.prepare().catch((error: unknown) => this.notPrepared(error));
    await this.openSource().catch((error: unknown) => this.notPrepared(error));
    void checkpoint(this.parts.postmaster, LATER_CHECKPOINT_MS);
    return found;
  }

  /** It serves nevertheless: the slot is looked after every second, and the role has come with the stream. */
  private notPrepared(error: unknown): void {
    const message = `The server is active, but could not be prepared for the peer to follow: ${messageOf(error)}`;
    this.parts.events.incident({ severity: 'warning', code: 'source-not-prepared', message });
  }

  private async discardCopy(context: TaskContext): Promise<Found> {
    if (!this.parts.rejoin.holdsCopy) return {};
    await this.stop(context);
    await this.parts.rejoin.discard();
    return {};
  }

  /** Starts what is in the directory; ends when it accepts connections. */
  async launch(context: TaskContext): Promise<void> {
    const { isHalfDone, isStandby } = await this.parts.directory.shape();
    if (isHalfDone)
      throw new TaskFailure('start-failed', 'a rewind of the data directory was interrupted: it must not be opened');
    while (this.parts.postmaster.running !== null) {
      try {
        return await this.parts.postmaster.ready(context);
      } catch (error) {
        // It was ending already when it was found: then it is started.
        if (this.parts.postmaster.running !== null || context.signal.aborted) throw error;
      }
    }
    await this.parts.render();
    await this.parts.directory.cleanSettings();
    // the last thing before: a disk may have held up all of the above
    if (!isStandby) await this.parts.right.wait(context);
    context.step('starting PostgreSQL');
    await this.parts.postmaster.launch();
    await this.parts.postmaster.ready(context);
  }
}
