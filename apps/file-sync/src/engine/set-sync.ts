import { setTimeout as delay } from 'node:timers/promises';
import type { FileDifferences, FileSetView } from '@understudy/contracts';
import { type Difference, differencesOf, pathsOf } from '../domain/difference.ts';
import type { Direction } from '../domain/direction.ts';
import type { Entry, RelativePath } from '../domain/entry.ts';
import { INTERVAL_SECONDS } from '../domain/schedule.ts';
import { DirectionLost } from './applier.ts';
import { ChangeWatch } from './change-watch.ts';
import type { FileSet } from './file-set.ts';
import { sameEntry } from './inventory.ts';
import type { PeerClient } from './peer-client.ts';
import { type Problem, reasonOf, type ScanResult } from './scanner.ts';
import { SinceWhen } from './since-when.ts';
import type { SyncFileSystem } from './staging.ts';
import type { StateFile } from './state-file.ts';
import { type RunResult, syncRun } from './sync-run.ts';

const RETRY_FIRST_MS = 1000;
const HAND_OVER_LOOK_MS = 10;
const SAVE_EVERY_MS = 10_000;
const ERRORS_SHOWN = 100;
const PATHS_SHOWN = 5;

/** Both servers have what they had. */
const NOTHING_DONE: RunResult = { awaiting: null, problems: [], changed: 0, receivedBytes: 0, kept: null };

/** What an operator should read. */
export interface Incident {
  readonly severity: 'info' | 'warning' | 'critical';
  readonly code: string;
  readonly message: string;
}

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
  private view: Omit<FileSetView, 'name' | 'path' | 'class' | 'direction' | 'files' | 'bytes'> = {
    reason: '',
    lastRunAt: null,
    lastCompleteAt: null,
    pendingFiles: 0,
    pendingBytes: 0,
    bytesPerSecond: null,
    errors: [],
    errorCount: 0,
    awaitingDeletion: null,
  };
  private lastProblems = new Set<string>();
  private readonly since = new SinceWhen();

  constructor(
    readonly set: FileSet,
    private readonly state: StateFile,
    private readonly around: SetSurroundings,
  ) {}

  /** Reads what is known from earlier runs. */
  load(): Promise<void> {
    return this.set.exclusively(() => this.state.load(this.set));
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
      ...this.view,
      reason: this.view.reason || reason,
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
      return this.since.told(unconfirmed, { direction: way, asOf: this.view.lastCompleteAt });
    }
    if (this.wanted === null) return this.since.told([], { direction: way, asOf: null });
    const differing = differencesOf(this.wanted, set.inventory.entries, this.around.withOwner);
    return this.since.told(differing, { direction: way, asOf: this.view.lastRunAt });
  }

  /** The direction may have changed. */
  turned({ way }: Direction): void {
    if (way === this.way || this.isClosed) return;
    const before = this.way;
    this.way = way;
    if (before === 'sends') void this.endSending();
    if (before === 'fetches') this.clearTimer();
    this.base = null;
    this.view = {
      ...this.view,
      reason: '',
      pendingFiles: 0,
      pendingBytes: 0,
      errors: [],
      errorCount: 0,
      awaitingDeletion: null,
    };
    if (way === 'sends') void this.beginSending();
    if (way === 'fetches') this.fetchSoon(0);
  }

  /** The peer says that the set has changed there. */
  peerChanged(): void {
    if (this.way === 'fetches') void this.fetch(false);
  }

  /** An operator has confirmed the deletions that wait. Null: none do. */
  confirm(): number | null {
    const { awaitingDeletion } = this.view;
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
    this.view = { ...this.view, lastCompleteAt: new Date().toISOString() };
  }

  /** Looks at all files of this server, for the peer that asks. Throws when the root cannot be read. */
  async scanAll(): Promise<void> {
    await this.openWatch();
    await this.set.exclusively(async () => {
      this.tellProblems(await this.set.scanAll());
      this.view = { ...this.view, lastRunAt: new Date().toISOString() };
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
      this.view = { ...this.view, reason };
      // the peer may be starting, or changing its role
      if (this.failures === 4)
        this.around.tell({
          severity: 'warning',
          code: 'file-sync-failed',
          message: `${this.set.name}: files are not synchronised: ${reason}`,
        });
    } finally {
      this.view = { ...this.view, lastRunAt: new Date().toISOString() };
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
    this.report(result, performance.now() - begunAtMs);
    await this.save(false);
    if (!isComplete(result) || this.told === manifest.generation) return;
    // it matters only when the roles change: whoever was active knows then what the other has not got
    await client.applied(set.name, manifest.generation, epoch, this.abort.signal);
    this.told = manifest.generation;
  }

  private async lookHere(): Promise<void> {
    this.tellProblems(await this.set.scanAll());
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
        this.view = { ...this.view, pendingFiles, pendingBytes };
      },
    });
  }

  /** A set that this server has never had begins with an empty directory. */
  private makeRoot(): void {
    const { calls, configuration, agreed } = this.set;
    if (agreed.size === 0) calls.mkdirSync(configuration.path, { recursive: true, mode: 0o755 });
  }

  private report(result: RunResult, durationMs: number): void {
    const { awaiting, problems, receivedBytes, kept } = result;
    const { name } = this.set;
    const { tell } = this.around;
    if (awaiting !== null && this.view.awaitingDeletion === null)
      tell({
        severity: 'critical',
        code: 'deletion-to-confirm',
        message: `${name}: ${awaiting.deletions} of ${awaiting.files} files have gone at once. Nothing is changed until it is confirmed: mount the disk that is missing, or "understudy files confirm-deletion ${name}"`,
      });
    if (kept !== null) {
      const shown = kept.paths.slice(0, PATHS_SHOWN).map((path) => Buffer.from(path, 'latin1').toString());
      const more = kept.paths.length > PATHS_SHOWN ? ` and ${kept.paths.length - PATHS_SHOWN} more` : '';
      tell({
        severity: 'warning',
        code: 'file-set-aside',
        message: `${name}: ${shown.map((path) => JSON.stringify(path)).join(', ')}${more} here were not those of the active server and were replaced; they are kept in ${kept.folder}`,
      });
    }
    this.view = {
      ...this.view,
      reason: awaiting === null ? '' : 'waits for the confirmation of a deletion',
      ...(isComplete(result) ? { lastCompleteAt: new Date().toISOString(), pendingFiles: 0, pendingBytes: 0 } : {}),
      ...(receivedBytes > 0 ? { bytesPerSecond: Math.round((receivedBytes / Math.max(1, durationMs)) * 1000) } : {}),
      awaitingDeletion: awaiting,
      errors: problems.slice(0, ERRORS_SHOWN).map(({ path, message }) => ({ path, message })),
      errorCount: problems.length,
    };
    for (const { path, message } of problems) this.tellOnce(path, message, 'warning', 'file-not-synchronised');
  }

  private tellProblems({ problems }: ScanResult): void {
    const serious = problems.filter(({ isSkipped }) => !isSkipped);
    this.view = { ...this.view, errors: serious.slice(0, ERRORS_SHOWN), errorCount: serious.length };
    const before = this.lastProblems;
    this.lastProblems = new Set([...before].filter((key) => problems.some((problem) => keyOf(problem) === key)));
    for (const { path, message, isSkipped } of problems)
      this.tellOnce(
        path,
        message,
        isSkipped ? 'info' : 'warning',
        isSkipped ? 'file-skipped' : 'file-not-synchronised',
      );
  }

  private tellOnce(path: string, message: string, severity: Incident['severity'], code: string): void {
    const key = keyOf({ path, message });
    if (this.lastProblems.has(key) || this.lastProblems.size > 1000) return;
    this.lastProblems.add(key);
    this.around.tell({ severity, code, message: `${this.set.name}: ${path}: ${message}` });
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
      this.tellOnce(path, message, 'warning', 'file-watch-failed');
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
        if (paths === null) this.tellProblems(found);
        if (this.set.generation !== before && this.way === 'sends') this.around.announce(this.set.name);
      });
      this.view = { ...this.view, reason: '' };
    } catch (error) {
      this.view = { ...this.view, reason: reasonOf(error) };
    }
  }

  private async save(isLast: boolean): Promise<void> {
    if (!this.isUnsaved || (!isLast && performance.now() - this.savedAtMs < SAVE_EVERY_MS)) return;
    if (this.way === 'sends') this.settleAcknowledged();
    this.savedAtMs = performance.now();
    this.isUnsaved = false;
    await this.state.save(this.set).catch((error: unknown) => {
      this.isUnsaved = true;
      this.view = { ...this.view, reason: `what is known of the set cannot be kept: ${reasonOf(error)}` };
    });
  }

  private clearTimer(): void {
    if (this.timer) clearTimeout(this.timer);
    this.timer = null;
  }
}

function isComplete({ awaiting, problems }: RunResult): boolean {
  return awaiting === null && problems.length === 0;
}

function keyOf({ path, message }: Pick<Problem, 'path' | 'message'>): string {
  return `${path}\n${message}`;
}
