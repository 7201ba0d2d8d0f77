import { setTimeout as delay } from 'node:timers/promises';
import type { FileDifferences, FileSetState } from '@understudy/contracts';
import type { Difference } from '../domain/difference.ts';
import type { Direction } from '../domain/direction.ts';
import type { RelativePath } from '../domain/entry.ts';
import { INTERVAL_SECONDS } from '../domain/schedule.ts';
import { DirectionLost } from './applier.ts';
import { Aside } from './aside.ts';
import { ChangeWatch, SOON, TOGETHER } from './change-watch.ts';
import type { FileSet } from './file-set.ts';
import { completeStep } from './generation.ts';
import type { PeerClient } from './peer-client.ts';
import { RunQueue } from './run-queue.ts';
import { reasonOf, unreadable } from './scanner.ts';
import { type Incident, SetReport } from './set-report.ts';
import { SinceWhen } from './since-when.ts';
import type { SyncFileSystem } from './staging.ts';
import { Standby } from './standby.ts';
import type { StateFile } from './state-file.ts';
import { isAbsence } from './tree.ts';

const RETRY_FIRST_MS = 1000;
/** So many runs that fail one after the other are told. */
const FAILURES_TOLD = 4;
const HAND_OVER_LOOK_MS = 10;
const ANNOUNCE_AGAIN_MS = 1000;
const SAVE_EVERY_MS = 10_000;

/** What keeping one set the same needs to know of the rest. */
export interface SetSurroundings {
  /** The present direction; `unknown` when the health monitor has not been heard of for a while. */
  readonly direction: () => Direction;
  readonly client: () => PeerClient | null;
  readonly tell: (incident: Incident) => void;
  /** This server's set has changed: the peer should know. */
  readonly announce: (fileSet: string) => void;
  readonly observed: () => void;
  readonly setAside: string;
  readonly sync: SyncFileSystem;
  readonly pause: () => Promise<void>;
}

/** Keeps one file set the same: on the active server it watches and tells, on the standby it fetches. */
export class SetSync {
  private way: Direction['way'] = 'unknown';
  private watch: ChangeWatch | null = null;
  private isClosed = false;
  /** Ends what is under way in one direction: a peer that does not answer must not hold up the other. */
  private abort = new AbortController();

  private failures = 0;
  private savedAtMs = 0;
  private isUnsaved = false;
  /** The generation that the peer has said to have; 0: it has not yet since this server sends, or begins to hand over. */
  private acknowledged = 0;
  /** What earlier runs and the rest of their step have kept aside, until there is somebody to tell. */
  private keptBefore: Aside | null = null;
  private readonly since = new SinceWhen();
  private readonly report: SetReport;
  private readonly standby: Standby;
  private readonly runs: RunQueue;

  constructor(
    readonly set: FileSet,
    private readonly state: StateFile,
    private readonly around: SetSurroundings,
  ) {
    this.report = new SetReport(set.name, around.tell);
    this.standby = new Standby(set, around, this.report, this.since, (isNew) => {
      this.isUnsaved ||= isNew;
      return this.save(false);
    });
    this.runs = new RunQueue(
      (isFresh) => this.fetchOnce(isFresh),
      () => (this.way === 'fetches' && !this.isClosed ? this.waitMs() : null),
    );
  }

  /** Reads what is known from earlier runs. */
  load(): Promise<void> {
    return this.set.exclusively(async () => {
      await this.state.load(this.set);
      const { sync, pause, setAside } = this.around;
      const { calls, name } = this.set;
      Aside.discardUnfinished(calls, setAside, name);
      const aside = this.untold() ?? Aside.now(calls, setAside, name);
      this.keptBefore = aside;
      try {
        await completeStep(this.set, { sync, pause, aside });
      } catch (error) {
        // there may be no root yet; the next run tries it again
        if (!isAbsence(error)) this.report.change({ reason: reasonOf(error) });
      }
    });
  }

  /** A note that cannot be read is no reason to leave a step half made. */
  private untold(): Aside | null {
    try {
      return Aside.untold(this.set.calls, this.around.setAside, this.set.name);
    } catch (error) {
      this.report.change({ reason: `what was kept aside is not known: ${reasonOf(error)}` });
      return null;
    }
  }

  /** The health monitor has been heard of: it keeps what it is told. */
  heard(): void {
    if (this.keptBefore !== null) this.report.kept(this.keptBefore);
    this.keptBefore = null;
  }

  status(): FileSetState {
    const { name, path, class: kind } = this.set.configuration;
    const { way, reason } = this.around.direction();
    return {
      name,
      path,
      class: kind,
      direction: way,
      ...this.set.inventory.totals(),
      ...this.report.view,
      reason: this.report.view.reason || reason,
    };
  }

  /** What differs between the servers, as far as this one knows. */
  differences(): FileDifferences {
    const { set, way } = this;
    if (way === 'sends') {
      const { entries, removed } = set.inventory.since(this.acknowledged === 0 ? null : this.acknowledged);
      const unconfirmed: Difference[] = [
        ...[...entries].map(({ path }) => ({ path, what: 'changed' as const })),
        ...removed.map((path) => ({ path, what: 'removed' as const })),
      ];
      return this.since.told(unconfirmed, { direction: way, asOf: this.report.view.lastCompleteAt });
    }
    const differing = this.standby.differences();
    return this.since.told(differing ?? [], { direction: way, asOf: differing && this.report.view.lastRunAt });
  }

  /** The direction may have changed. */
  turned({ way }: Direction): void {
    if (way === this.way || this.isClosed) return;
    const before = this.way;
    this.way = way;
    if (before === 'sends') void this.endSending();
    if (before === 'fetches') {
      this.runs.stop();
      this.abort.abort();
      this.abort = new AbortController();
    }
    this.standby.turned();
    this.report.turned();
    if (way === 'sends') void this.beginSending();
    if (way === 'fetches') this.runs.plan(0);
  }

  /** The peer is the other server of this pair. */
  paired(pair: string): void {
    void this.set.exclusively(async () => {
      if (this.set.inventory.paired(pair)) this.report.change({ lastCompleteAt: null });
    });
  }

  /** The peer says that the set has changed there. */
  peerChanged(): void {
    if (this.way === 'fetches') void this.fetch(false);
  }

  /** An operator has confirmed the deletions that wait. Null: none do. */
  confirm(): number | null {
    const { awaitingDeletion } = this.report.view;
    if (awaitingDeletion === null) return null;
    this.standby.confirm(awaitingDeletion.deletions);
    this.around.tell({
      severity: 'info',
      code: 'deletion-confirmed',
      message: `${this.set.name}: an operator has confirmed the deletion of ${awaitingDeletion.deletions} files`,
    });
    void this.fetch(true);
    return awaitingDeletion.deletions;
  }

  /** The peer has applied everything up to a generation. */
  peerHas(generation: number): void {
    if (this.way !== 'sends' || generation <= this.acknowledged) return;
    this.acknowledged = Math.min(generation, this.set.inventory.generation);
    this.isUnsaved = true;
    this.report.change({ lastCompleteAt: new Date().toISOString() });
  }

  /** Looks at all files of this server, for the peer that asks. Throws when the root cannot be read. */
  async scanAll(): Promise<void> {
    this.openWatch();
    // files that belong together are not looked at while they are written
    if (this.set.configuration.atomic) await this.watch?.settled();
    try {
      await this.look();
    } catch (error) {
      this.report.change({ reason: unreadable(this.set.configuration.path, error) });
      throw error;
    }
  }

  private async look(): Promise<void> {
    await this.set.exclusively(async () => {
      if (this.isClosed) throw new Error('the service ends');
      this.report.looked(await this.set.scanAll());
      this.report.change({ lastRunAt: new Date().toISOString(), reason: '' });
      await this.save(false);
    });
  }

  /** The application has stopped for a switch. Resolves with what the peer has not got when the time is over; null: it has everything. */
  async handOver(limitMs: number): Promise<string | null> {
    const endMs = performance.now() + limitMs;
    if (this.way !== 'sends') return `${this.set.name}: this server does not send`;
    try {
      this.openWatch();
      await this.look();
    } catch (error) {
      return `${this.set.name}: ${unreadable(this.set.configuration.path, error)}`;
    }
    // what it has had it may have lost since: it says so once more
    this.forgetAcknowledged();
    const { generation } = this.set.inventory;
    let announcedAtMs = Number.NEGATIVE_INFINITY;
    while (this.acknowledged < generation) {
      // the word may be lost on its way
      if (performance.now() - announcedAtMs >= ANNOUNCE_AGAIN_MS) {
        announcedAtMs = performance.now();
        this.around.announce(this.set.name);
      }
      if (performance.now() >= endMs || this.isClosed) return `${this.set.name}: the peer has not got the last changes`;
      await delay(HAND_OVER_LOOK_MS);
    }
    return null;
  }

  async close(): Promise<void> {
    this.isClosed = true;
    this.runs.stop();
    this.abort.abort();
    this.watch?.close();
    await this.runs.settled();
    await this.set.exclusively(async () => {
      await this.save(true).catch(() => undefined);
      this.set.close();
    });
  }

  /** Fetches once more from now on; what is under way is finished first. */
  fetch(isFresh: boolean): Promise<void> {
    return this.runs.ask(isFresh);
  }

  /** The schedule; sooner after a failure. */
  private waitMs(): number {
    const intervalMs = INTERVAL_SECONDS[this.set.configuration.class] * 1000;
    return this.failures === 0 ? intervalMs : Math.min(intervalMs, RETRY_FIRST_MS * 2 ** Math.min(this.failures, 10));
  }

  private async fetchOnce(isFresh: boolean): Promise<void> {
    const { signal } = this.abort;
    try {
      await this.set.exclusively(() => this.standby.run(isFresh, signal));
      if (this.failures >= FAILURES_TOLD)
        this.around.tell({
          severity: 'info',
          code: 'file-sync-resumed',
          message: `${this.set.name}: files are synchronised again`,
        });
      this.failures = 0;
    } catch (error) {
      if (signal.aborted || error instanceof DirectionLost || this.way !== 'fetches') return;
      this.standby.failed();
      this.failures += 1;
      const reason = reasonOf(error);
      this.report.change({ reason });
      // the peer may be starting, or changing its role
      if (this.failures === FAILURES_TOLD)
        this.around.tell({
          severity: 'warning',
          code: 'file-sync-failed',
          message: `${this.set.name}: files are not synchronised: ${reason}`,
        });
    } finally {
      this.report.change({ lastRunAt: new Date().toISOString() });
      this.around.observed();
    }
  }

  private async beginSending(): Promise<void> {
    this.openWatch();
    await this.set.exclusively(async () => this.standby.ended());
    await this.lookAt(null);
  }

  private openWatch(): void {
    if (this.set.configuration.class !== 'realtime' || this.watch !== null || this.way !== 'sends') return;
    const listener = {
      changed: (paths: readonly RelativePath[]) => this.lookAt(paths),
      refused: (error: unknown) => {
        const message = `some changes are found by the schedule only: ${reasonOf(error)}`;
        this.report.once(this.set.configuration.path, message, 'warning', 'file-watch-failed');
      },
    };
    this.watch = new ChangeWatch(listener, this.set.configuration.atomic ? TOGETHER : SOON);
    this.set.follow(this.watch);
  }

  private async endSending(): Promise<void> {
    this.watch?.close();
    this.watch = null;
    this.set.follow(null);
    // before the first run in the other direction, which has to know it
    await this.set.exclusively(async () => this.forgetAcknowledged());
  }

  /** What the peer had until now is what both had in common; what it has from now on is to be said anew. */
  private forgetAcknowledged(): void {
    this.settleAcknowledged();
    this.acknowledged = 0;
  }

  private settleAcknowledged(): void {
    if (this.acknowledged > 0) this.set.inventory.agreeUpTo(this.acknowledged);
  }

  /** Files of this server may have changed; null: all. */
  private async lookAt(paths: readonly RelativePath[] | null): Promise<void> {
    try {
      await this.set.exclusively(async () => {
        if (this.isClosed) return;
        const before = this.set.generation;
        const found = await (paths === null ? this.set.scanAll() : this.set.scan(paths));
        if (paths === null) this.report.looked(found);
        if (this.set.generation !== before && this.way === 'sends') this.around.announce(this.set.name);
      });
      this.report.change({ reason: '' });
    } catch (error) {
      this.report.change({ reason: unreadable(this.set.configuration.path, error) });
    }
  }

  private async save(isLast: boolean): Promise<void> {
    if (!this.isUnsaved || (!isLast && performance.now() - this.savedAtMs < SAVE_EVERY_MS)) return;
    if (this.way === 'sends') this.settleAcknowledged();
    this.savedAtMs = performance.now();
    this.isUnsaved = false;
    await this.state.save(this.set).catch((error: unknown) => {
      this.isUnsaved = true;
      this.report.change({ reason: `what is known of the set cannot be kept: ${reasonOf(error)}` });
    });
  }
}
