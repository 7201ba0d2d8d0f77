import { setTimeout as delay } from 'node:timers/promises';
import type { FileDifferences, FileSetView } from '@understudy/contracts';
import { type Difference, differencesOf, pathsOf } from '../domain/difference.ts';
import type { Direction } from '../domain/direction.ts';
import type { Entry, RelativePath } from '../domain/entry.ts';
import { INTERVAL_SECONDS } from '../domain/schedule.ts';
import { DirectionLost } from './applier.ts';
import { ChangeWatch } from './change-watch.ts';
import type { FileSet } from './file-set.ts';
import { completeStep } from './generation.ts';
import { sameEntry } from './inventory.ts';
import type { PeerClient } from './peer-client.ts';
import { reasonOf } from './scanner.ts';
import { type Incident, isComplete, SetReport } from './set-report.ts';
import { SinceWhen } from './since-when.ts';
import type { SyncFileSystem } from './staging.ts';
import type { StateFile } from './state-file.ts';
import { type RunResult, syncRun } from './sync-run.ts';
import { isAbsence } from './tree.ts';

const RETRY_FIRST_MS = 1000;
const HAND_OVER_LOOK_MS = 10;
const SAVE_EVERY_MS = 10_000;

/** Both servers have what they had. */
const NOTHING_DONE: RunResult = { awaiting: null, problems: [], changed: 0, receivedBytes: 0, kept: null };

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
  readonly withOwner: boolean;
  readonly sync: SyncFileSystem;
  readonly pause: () => Promise<void>;
}

/** Keeps one file set the same: on the active server it watches and tells, on the standby it fetches. */
export class SetSync {
  private way: Direction['way'] = 'unknown';
  private watch: ChangeWatch | null = null;
  private timer: NodeJS.Timeout | null = null;
  private running: Promise<void> | null = null;
  private next: Promise<void> | null = null;
  private nextIsFresh = false;
  private isClosed = false;
  private readonly abort = new AbortController();

  /** What the active server has, and in which generation of it; null: not asked yet. */
  private wanted: Map<RelativePath, Entry> | null = null;
  private base: string | null = null;
  /** The generation that the active server knows to be in place here. */
  private told: string | null = null;
  /** The generation of this server's files in which they were all that is wanted. */
  private completeIn: number | null = null;
  private confirmed = 0;

  private failures = 0;
  private savedAtMs = 0;
  private isUnsaved = false;
  private acknowledged = 0;
  private readonly since = new SinceWhen();
  private readonly report: SetReport;

  constructor(
    readonly set: FileSet,
    private readonly state: StateFile,
    private readonly around: SetSurroundings,
  ) {
    this.report = new SetReport(set.name, around.tell);
  }

  /** Reads what is known from earlier runs. */
  load(): Promise<void> {
    return this.set.exclusively(async () => {
      await this.state.load(this.set);
      try {
        await completeStep(this.set, this.around);
      } catch (error) {
        // there may be no root yet; the next run tries it again
        if (!isAbsence(error)) this.report.change({ reason: reasonOf(error) });
      }
    });
  }

  status(): FileSetView {
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
        ...entries.map(({ path }) => ({ path, what: 'changed' as const })),
        ...removed.map((path) => ({ path, what: 'removed' as const })),
      ];
      return this.since.told(unconfirmed, { direction: way, asOf: this.report.view.lastCompleteAt });
    }
    if (this.wanted === null) return this.since.told([], { direction: way, asOf: null });
    const differing = differencesOf(this.wanted, set.inventory.entries, this.around.withOwner);
    return this.since.told(differing, { direction: way, asOf: this.report.view.lastRunAt });
  }

  /** The direction may have changed. */
  turned({ way }: Direction): void {
    if (way === this.way || this.isClosed) return;
    const before = this.way;
    this.way = way;
    if (before === 'sends') void this.endSending();
    if (before === 'fetches') this.clearTimer();
    this.base = null;
    this.report.turned();
    if (way === 'sends') void this.beginSending();
    if (way === 'fetches') this.fetchSoon(0);
  }

  /** The peer says that the set has changed there. */
  peerChanged(): void {
    if (this.way === 'fetches') void this.fetch(false);
  }

  /** An operator has confirmed the deletions that wait. Null: none do. */
  confirm(): number | null {
    const { awaitingDeletion } = this.report.view;
    if (awaitingDeletion === null) return null;
    this.confirmed = awaitingDeletion.deletions;
    void this.fetch(true);
    return awaitingDeletion.deletions;
  }

  /** The peer has applied everything up to a generation. */
  peerHas(generation: number): void {
    if (generation <= this.acknowledged) return;
    this.acknowledged = Math.min(generation, this.set.inventory.generation);
    this.isUnsaved = true;
    this.report.change({ lastCompleteAt: new Date().toISOString() });
  }

  /** Looks at all files of this server, for the peer that asks. Throws when the root cannot be read. */
  async scanAll(): Promise<void> {
    await this.openWatch();
    await this.set.exclusively(async () => {
      this.report.looked(await this.set.scanAll());
      this.report.change({ lastRunAt: new Date().toISOString() });
      await this.save(false);
    });
  }

  /** The application has stopped for a switch. Resolves with what the peer has not got when the time is over; null: it has everything. */
  async handOver(limitMs: number): Promise<string | null> {
    const endMs = performance.now() + limitMs;
    if (this.way !== 'sends') return `${this.set.name}: this server does not send`;
    try {
      await this.scanAll();
    } catch (error) {
      return `${this.set.name}: ${reasonOf(error)}`;
    }
    const { generation } = this.set.inventory;
    if (this.acknowledged < generation) this.around.announce(this.set.name);
    while (this.acknowledged < generation) {
      if (performance.now() >= endMs || this.isClosed) return `${this.set.name}: the peer has not got the last changes`;
      await delay(HAND_OVER_LOOK_MS);
    }
    return null;
  }

  async close(): Promise<void> {
    this.isClosed = true;
    this.clearTimer();
    this.abort.abort();
    await this.watch?.close();
    await this.running?.catch(() => undefined);
    await this.set.exclusively(async () => {
      await this.save(true).catch(() => undefined);
      this.set.close();
    });
  }

  /** Fetches once more from now on; what is under way is finished first. */
  fetch(isFresh: boolean): Promise<void> {
    if (this.running === null) return this.begin(isFresh);
    this.nextIsFresh ||= isFresh;
    this.next ??= this.running.then(() => {
      const isNextFresh = this.nextIsFresh;
      this.next = null;
      this.nextIsFresh = false;
      return this.begin(isNextFresh);
    });
    return this.next;
  }

  private begin(isFresh: boolean): Promise<void> {
    this.clearTimer();
    this.running = this.fetchOnce(isFresh).finally(() => {
      this.running = null;
      if (this.next === null) this.fetchSoon(this.waitMs());
    });
    return this.running;
  }

  private fetchSoon(ms: number): void {
    this.clearTimer();
    if (this.way !== 'fetches' || this.isClosed) return;
    this.timer = setTimeout(() => void this.fetch(true), ms);
  }

  /** The schedule; sooner after a failure. */
  private waitMs(): number {
    const intervalMs = INTERVAL_SECONDS[this.set.configuration.class] * 1000;
    return this.failures === 0 ? intervalMs : Math.min(intervalMs, RETRY_FIRST_MS * 2 ** Math.min(this.failures, 10));
  }

  private async fetchOnce(isFresh: boolean): Promise<void> {
    try {
      await this.set.exclusively(() => this.runOnce(isFresh));
      if (this.failures > 0)
        this.around.tell({
          severity: 'info',
          code: 'file-sync-resumed',
          message: `${this.set.name}: files are synchronised again`,
        });
      this.failures = 0;
    } catch (error) {
      if (this.isClosed || error instanceof DirectionLost || this.way !== 'fetches') return;
      this.base = null;
      this.failures += 1;
      const reason = reasonOf(error);
      this.report.change({ reason });
      // the peer may be starting, or changing its role
      if (this.failures === 4)
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

  private async runOnce(isFresh: boolean): Promise<void> {
    const { set, around } = this;
    const client = around.client();
    const { way, epoch } = around.direction();
    if (client === null || way !== 'fetches') throw new DirectionLost();
    const mayChange = () => {
      const now = around.direction();
      if (now.way !== 'fetches' || now.epoch !== epoch || this.isClosed) throw new DirectionLost();
    };
    const isFirst = this.base === null;
    const looks = isFresh || isFirst;
    const asking = client.manifest(set.name, { since: this.base, isFresh: looks, epoch }, this.abort.signal);
    // both servers look at the same time; before the first run there may be nothing to look at
    const [asked, looked] = await Promise.allSettled([asking, looks && !isFirst ? this.lookHere() : null]);
    if (asked.status === 'rejected') throw asked.reason;
    if (looked.status === 'rejected') throw looked.reason;
    const manifest = asked.value;
    if (manifest.epoch < epoch)
      throw new Error(`the peer is active under epoch ${manifest.epoch}, and ${epoch} has begun`);
    mayChange();
    if (isFirst) {
      this.makeRoot();
      await this.lookHere();
    }
    const wanted = manifest.isPartial && this.wanted !== null ? this.wanted : new Map<RelativePath, Entry>();
    this.wanted = wanted;
    for (const entry of manifest.entries) {
      const own = set.inventory.entries.get(entry.path)?.entry;
      // one object for both: there are many
      wanted.set(entry.path, own !== undefined && sameEntry(own, entry) ? own : entry);
    }
    for (const path of manifest.removed) wanted.delete(path);
    this.base = manifest.generation;

    const begunAtMs = performance.now();
    const isSame = manifest.isPartial && manifest.entries.length + manifest.removed.length === 0;
    const result =
      isSame && this.completeIn === set.inventory.generation
        ? NOTHING_DONE
        : await this.apply(client, epoch, wanted, mayChange);
    if (result.awaiting === null) this.confirmed = 0;
    this.isUnsaved ||= result.changed > 0;
    this.completeIn = isComplete(result) ? set.inventory.generation : null;
    if (isComplete(result)) this.since.note([], new Date());
    this.report.ran(result, performance.now() - begunAtMs);
    await this.save(false);
    if (!isComplete(result) || this.told === manifest.generation) return;
    // it matters only when the roles change: whoever was active knows then what the other has not got
    await client.applied(set.name, manifest.generation, epoch, this.abort.signal);
    this.told = manifest.generation;
  }

  private async lookHere(): Promise<void> {
    this.report.looked(await this.set.scanAll());
  }

  /** Makes the files what is wanted. */
  private apply(
    client: PeerClient,
    epoch: number,
    wanted: ReadonlyMap<RelativePath, Entry>,
    mayChange: () => void,
  ): Promise<RunResult> {
    const { set, around } = this;
    return syncRun(set, wanted, {
      openContent: (wants) => client.content(set.name, wants, epoch, this.abort.signal),
      askChunks: (entry, average) => client.chunks(set.name, entry, average, epoch, this.abort.signal),
      sync: around.sync,
      mayChange,
      pause: around.pause,
      setAside: around.setAside,
      withOwner: around.withOwner,
      confirmedDeletions: this.confirmed,
      onPlan: (plan) => this.since.note(pathsOf(plan), new Date()),
      onPending: (pendingFiles, pendingBytes) => {
        this.report.change({ pendingFiles, pendingBytes });
      },
    });
  }

  /** A set that this server has never had begins with an empty directory. */
  private makeRoot(): void {
    const { calls, configuration, agreed } = this.set;
    if (agreed.size === 0) calls.mkdirSync(configuration.path, { recursive: true, mode: 0o755 });
  }

  private async beginSending(): Promise<void> {
    await this.openWatch();
    await this.lookAt(null);
  }

  private async openWatch(): Promise<void> {
    const { path, class: kind } = this.set.configuration;
    if (kind !== 'realtime' || this.watch !== null) return;
    try {
      const watch = await ChangeWatch.open(path, (paths) => void this.lookAt(paths));
      if (this.way === 'sends' && !this.isClosed && this.watch === null) this.watch = watch;
      else await watch.close();
    } catch (error) {
      const message = `changes are found by the schedule only: ${reasonOf(error)}`;
      this.report.once(path, message, 'warning', 'file-watch-failed');
    }
  }

  private async endSending(): Promise<void> {
    const { watch } = this;
    this.watch = null;
    // before the first run in the other direction, which has to know it
    const settled = this.set.exclusively(async () => this.settleAcknowledged());
    await watch?.close();
    await settled;
  }

  private settleAcknowledged(): void {
    if (this.acknowledged > 0) this.set.peerHas(this.acknowledged);
  }

  /** Files of this server may have changed; null: all. */
  private async lookAt(paths: readonly RelativePath[] | null): Promise<void> {
    try {
      await this.set.exclusively(async () => {
        const before = this.set.generation;
        const found = await (paths === null ? this.set.scanAll() : this.set.scan(paths));
        if (paths === null) this.report.looked(found);
        if (this.set.generation !== before && this.way === 'sends') this.around.announce(this.set.name);
      });
      this.report.change({ reason: '' });
    } catch (error) {
      this.report.change({ reason: reasonOf(error) });
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

  private clearTimer(): void {
    if (this.timer) clearTimeout(this.timer);
    this.timer = null;
  }
}
