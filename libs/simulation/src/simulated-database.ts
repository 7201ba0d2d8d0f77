import { type EffectKind, formatLsn, type Lsn, parseLsn } from '@understudy/ha-core';
import { EffectError } from '@understudy/ha-runtime';
import type { Course } from './adversity.ts';
import { Life } from './life.ts';
import { commonEnd, endOf, isContained, reachOn, type Wal, withWrite } from './wal.ts';

/** Work on a database, in the words of the contract with db-replication. */
export type DatabaseTask =
  | { readonly kind: 'start-active' | 'start-standby' | 'stop' | 'fence' | 'discard-copy' }
  | { readonly kind: 'promote'; readonly requiredLsn: Lsn | null }
  | { readonly kind: 'follow-peer'; readonly forceCopy: boolean };

/** What a task found out. */
export interface DatabaseTaskResult {
  readonly lsn: Lsn | null;
  readonly hasDatabase: boolean;
}

/** Where a database is. */
export interface DatabasePlace {
  /** The machine it runs on. */
  readonly life: Life | null;
  /** No read or write of the disk comes to an end. */
  readonly isDiskStuck: boolean;
  /** There is no room on the disk. */
  readonly isDiskFull: boolean;
  /** The right to serve has ended: the runner ends PostgreSQL again and again. */
  readonly isKeptClosed: boolean;
  readonly isPaired: boolean;
  /** The database opens for writing. */
  opens(): void;
  /** The peer's database, when the stream can come from there. */
  source(): SimulatedDatabase | null;
  /** A client is told that its write is safe. */
  acknowledge(write: Write): void;
  courseOf(kind: EffectKind): Course;
  isPositionUnknown(): boolean;
  newTimeline(): number;
}

/** What a data directory holds. */
export interface DatabaseBackup {
  readonly wal: Wal | null;
  readonly isStandby: boolean;
}

/** A client's write: the timeline it is on, and the positions before and after it. */
export interface Write {
  readonly timeline: number;
  readonly from: number;
  readonly to: number;
}

/** Each client waits for its commit before it writes again. */
const CLIENTS = 5;
const STUCK_LOOK_MS = 500;
const RIGHT_LOOK_MS = 20;
const REVIVE_MS = 1000;
const EFFECT_OF_TASK = {
  'start-active': 'open-database',
  'start-standby': 'open-database',
  promote: 'promote-database',
  stop: 'stop-database',
  fence: 'fence',
  'follow-peer': 'follow-peer',
  'discard-copy': 'retire-pairing',
} as const satisfies Record<DatabaseTask['kind'], EffectKind>;

/**
 * PostgreSQL as db-replication keeps it: a log with timelines, what it is started as, and one task at a time, known by its id, so that
 * asking twice does nothing twice and a later task takes the place of an earlier one.
 */
export class SimulatedDatabase {
  mode: 'none' | 'stopped' | 'read-write' | 'standby';
  wal: Wal | null = null;
  /** It does not start. */
  isUnstartable = false;
  /** The stream from this machine brings nothing any more, although it stays connected; null: it flows. */
  private stalledFrom: Life | null = null;
  /** A promotion does not come to its end. */
  isPromotionHeld = false;
  /** Every full copy that is made here fails. */
  failsCopies = false;
  /** It cannot be kept running, as far as was tried since the last task. */
  isExhausted = false;
  /** Writes that were set aside here before the peer was followed: the end of each timeline that was not the peer's. */
  readonly setAside = new Map<number, number>();
  setAsideWrites = 0;
  /** A stopped database starts as a standby. */
  private isStandby = false;
  private timeline = 0;
  /** What a full copy has taken the place of, until the copy is worked with. */
  private replaced: { readonly mode: 'none' | 'stopped'; readonly wal: Wal | null } | null = null;
  private desired: 'running' | 'stopped' = 'stopped';
  private epoch = 0;
  private running: Life | null = null;
  /** Since which decision commits wait for the standby, and by which that was said. */
  private commits: { readonly sequence: number; readonly waitSince: number | null } = { sequence: 0, waitSince: null };
  /** Writes whose commits wait. */
  private waiting: Write[] = [];
  private begun: { readonly since: number; readonly wal: Wal | null } | null = null;
  private readonly outcomes = new Map<string, Promise<DatabaseTaskResult>>();

  constructor(
    private readonly place: DatabasePlace,
    private readonly atInstallation: 'none' | 'stopped',
  ) {
    this.mode = atInstallation;
  }

  get isRunning(): boolean {
    return this.mode === 'read-write' || this.mode === 'standby';
  }

  get lsn(): Lsn {
    return formatLsn(BigInt(endOf(this.wal)));
  }

  /** The disk is another one: an empty database, which has never been written to. */
  lose(): void {
    this.wal = null;
    this.timeline = 0;
    this.mode = this.atInstallation;
    this.isStandby = false;
    this.isUnstartable = false;
    this.replaced = null;
    this.epoch = 0;
    this.commits = { sequence: 0, waitSince: null };
    this.setAside.clear();
  }

  /** The machine has started: nothing runs yet, and no task is known any more. */
  begin(life: Life): void {
    this.desired = 'stopped';
    this.isExhausted = false;
    this.running = null;
    this.isPromotionHeld = false;
    this.freeStream();
    // what waits in another run goes on to wait; decisions are counted anew with a new journal
    this.commits = { ...this.commits, sequence: 0 };
    this.outcomes.clear();
    life.every(REVIVE_MS, REVIVE_MS, () => this.revive());
  }

  /** The stream brings this standby nothing any more, and does not begin anew, although it stays connected as long as its source lives. */
  stallStream(): void {
    this.stalledFrom = this.place.source()?.place.life ?? null;
  }

  freeStream(): void {
    this.stalledFrom = null;
  }

  /** What the data directory holds. */
  backUp(): DatabaseBackup {
    const { wal, isStandby } = this;
    return { wal, isStandby };
  }

  /** A backup takes the place of the data directory. What is written from now on is other than what was written after it. */
  restore({ wal, isStandby }: DatabaseBackup): void {
    Object.assign(this, { wal, isStandby, timeline: 0 });
  }

  get commitsWait(): boolean {
    return this.commits.waitSince !== null;
  }

  /** What was decided about its commits; what waits goes on when nothing shall wait any more. */
  setCommits(commits: { readonly sequence: number; readonly waitSince: number | null }): void {
    if (commits.sequence < this.commits.sequence) return;
    this.commits = commits;
    if (!this.commitsWait) this.acknowledge(() => true);
  }

  /** The decision since which commits wait, when the standby has confirmed what was written before; looked at every second. */
  commitsConfirmedSince(standby: SimulatedDatabase | null): number | null {
    const { waitSince } = this.commits;
    if (waitSince === null || !standby?.streamsFrom(this)) this.begun = null;
    else if (this.begun?.since !== waitSince) this.begun = { since: waitSince, wal: this.wal };
    else if (isContained(this.begun.wal, standby.wal)) return waitSince;
    return null;
  }

  /** The standby has confirmed what it has received. */
  confirm(standby: Wal | null): void {
    this.acknowledge(({ timeline, to }) => (reachOn(standby, timeline) ?? -1) >= to);
  }

  private acknowledge(isSafe: (write: Write) => boolean): void {
    if (this.waiting.length === 0) return;
    const safe = this.waiting.filter(isSafe);
    this.waiting = this.waiting.filter((write) => !safe.includes(write));
    for (const write of safe) this.place.acknowledge(write);
  }

  /** PostgreSQL has ended: with the machine, or killed. Who waits for a commit is told nothing. */
  die(): void {
    this.waiting = [];
    this.begun = null;
    if (!this.isRunning) return;
    this.isStandby = this.mode === 'standby';
    this.mode = 'stopped';
  }

  /** Where the log ends. */
  get end(): number {
    return endOf(this.wal);
  }

  /** Whether everything up to that position of the timeline is in this database. */
  holds(timeline: number, position: number): boolean {
    return (reachOn(this.wal, timeline) ?? -1) >= position;
  }

  /** A client's write, safe on this disk, and the timeline it is on. It is acknowledged at once, or when the standby has it. */
  write(): number {
    if (this.waiting.length === CLIENTS) return this.timeline;
    if (this.timeline === 0) this.timeline = this.place.newTimeline();
    const from = this.end;
    this.wal = withWrite(this.wal, this.timeline);
    this.waiting.push({ timeline: this.timeline, from, to: this.end });
    if (!this.commitsWait) this.acknowledge(() => true);
    return this.timeline;
  }

  /** The databases stream: this one follows, and has nothing that the source lacks. */
  streamsFrom(source: SimulatedDatabase | null): boolean {
    if (source?.mode !== 'read-write' || this.mode !== 'standby') return false;
    const isConnected = this.stalledFrom === null || this.stalledFrom === source.place.life;
    return isConnected && isContained(this.wal, source.wal);
  }

  /** The stream brings everything that the source has. */
  receive(source: SimulatedDatabase): void {
    if (this.stalledFrom !== null || !this.streamsFrom(source)) return;
    this.wal = source.wal;
    source.confirm(this.wal);
  }

  /** Performs a task, or tells the outcome of the one with that id. The outcome of a task that was replaced is never told. */
  perform(taskId: string, epoch: number, task: DatabaseTask): Promise<DatabaseTaskResult> {
    const known = this.outcomes.get(taskId);
    if (known !== undefined) return known;
    const { life } = this.place;
    if (life === null || epoch < this.epoch)
      return Promise.reject(new EffectError('stale-epoch', `epoch ${epoch} is older than ${this.epoch}`));
    this.epoch = epoch;
    this.isExhausted = false;
    this.running?.end();
    this.running = new Life(life);
    const outcome = this.carryOut(task, this.running);
    this.outcomes.set(taskId, outcome);
    return outcome;
  }

  private async carryOut(task: DatabaseTask, life: Life): Promise<DatabaseTaskResult> {
    try {
      // what kills needs no disk
      while (this.place.isDiskStuck && task.kind !== 'fence') await life.sleep(STUCK_LOOK_MS);
      const { ms, worksAtOnce, failure } = this.place.courseOf(EFFECT_OF_TASK[task.kind]);
      const work = async () => {
        if (failure !== null && !failure.hasWorked) return null;
        while (task.kind === 'promote' && this.isPromotionHeld) await life.sleep(STUCK_LOOK_MS);
        while (this.waitsForRight(task)) await life.sleep(RIGHT_LOOK_MS);
        return this.work(task);
      };
      const early = worksAtOnce ? await work() : null;
      if (ms > 0) await life.sleep(ms);
      const result = early ?? (await work());
      if (failure !== null || result === null) throw new EffectError(this.codeOf(failure?.code), 'injected');
      return result;
    } finally {
      if (this.running === life) this.running = null;
    }
  }

  /** What would open the database waits until the server may serve again, or asks for something else. */
  private waitsForRight({ kind }: DatabaseTask): boolean {
    return (kind === 'start-active' || kind === 'promote') && this.place.isKeptClosed;
  }

  /** A copy is made beside what is there: when it fails, that is as it was. */
  private codeOf(code = 'injected'): string {
    return code === 'copy-failed' && this.mode !== 'none' ? 'copy-not-made' : code;
  }

  private work(task: DatabaseTask): DatabaseTaskResult {
    if (task.kind === 'stop' || task.kind === 'fence') return this.close(task.kind);
    if (this.place.isDiskFull && !this.isRunning) throw new EffectError('start-failed', 'no space left on device');
    switch (task.kind) {
      case 'start-active':
        this.startActive();
        break;
      case 'start-standby':
        this.requireStandby();
        if (this.isUnstartable) throw new EffectError('start-failed', 'PostgreSQL does not start');
        this.run('standby');
        break;
      case 'promote':
        this.promote(task.requiredLsn);
        break;
      case 'follow-peer':
        this.follow(task.forceCopy);
        break;
      case 'discard-copy':
        this.discardCopy();
        break;
    }
    return { lsn: null, hasDatabase: true };
  }

  private startActive(): void {
    if (this.mode === 'none' && this.place.isPaired) throw new EffectError('no-data', 'there is no database');
    if (this.mode === 'standby' || (this.mode === 'stopped' && this.isStandby))
      throw new EffectError('is-standby', 'the data directory is a standby: it has to be promoted');
    if (this.isUnstartable) throw new EffectError('start-failed', 'PostgreSQL does not start');
    this.run('read-write');
    this.replaced = null;
  }

  private promote(requiredLsn: Lsn | null): void {
    this.requireDatabase();
    if (this.mode !== 'read-write') {
      this.requireStandby();
      if (requiredLsn !== null && parseLsn(this.lsn) < parseLsn(requiredLsn))
        throw new EffectError('data-missing', `needed up to ${requiredLsn}, received up to ${this.lsn}`);
      if (this.isUnstartable) throw new EffectError('start-failed', 'PostgreSQL does not start');
      this.timeline = this.place.newTimeline();
      this.run('read-write');
    }
    this.replaced = null;
  }

  /** As a stop ends a database: what it has written goes to whoever streams it, and then it tells where its data end. */
  private close(kind: 'stop' | 'fence'): DatabaseTaskResult {
    if (kind === 'stop') this.place.source()?.receive(this);
    this.desired = 'stopped';
    this.die();
    const hasDatabase = this.mode !== 'none';
    return { lsn: hasDatabase && !this.place.isPositionUnknown() ? this.lsn : null, hasDatabase };
  }

  /** Follow, rewind or copy: what only this database has is set aside before. */
  private follow(forceCopy: boolean): void {
    const source = this.place.source();
    if (source?.mode !== 'read-write')
      throw new EffectError('peer-unreachable', 'PostgreSQL of the peer does not answer');
    if (this.isUnstartable) throw new EffectError('start-failed', 'PostgreSQL does not start');
    const isCopied = this.mode === 'none' || forceCopy;
    if (isCopied && this.failsCopies) throw new EffectError(this.codeOf('copy-failed'), 'the copy fails');
    if (isCopied) this.replaced ??= { mode: this.mode === 'none' ? 'none' : 'stopped', wal: this.wal };
    this.keepWhatIsOwn(source.wal);
    this.wal = source.wal;
    this.run('standby');
  }

  private keepWhatIsOwn(other: Wal | null): void {
    const common = commonEnd(this.wal, other);
    this.setAsideWrites += endOf(this.wal) - common;
    for (let part = this.wal; part !== null && part.endsAt > common; part = part.before)
      this.setAside.set(part.timeline, Math.max(part.endsAt, this.setAside.get(part.timeline) ?? 0));
  }

  /** The directory from before a copy comes back, when nobody has worked with the copy. */
  private discardCopy(): void {
    if (this.replaced === null) return;
    this.desired = 'stopped';
    this.isStandby = false;
    Object.assign(this, this.replaced);
    this.replaced = null;
  }

  private requireDatabase(): void {
    if (this.mode === 'none') throw new EffectError('no-data', 'there is no database on this server');
  }

  private requireStandby(): void {
    this.requireDatabase();
    if (this.mode === 'read-write' || (this.mode === 'stopped' && !this.isStandby))
      throw new EffectError('not-standby', 'the database is no standby');
  }

  private run(mode: 'read-write' | 'standby'): void {
    if (mode === 'read-write') this.place.opens();
    this.mode = mode;
    this.isStandby = mode === 'standby';
    this.desired = 'running';
  }

  /** db-replication starts again what has died, unless a task is at work. */
  private revive(): void {
    const { isDiskStuck, isDiskFull, isKeptClosed } = this.place;
    if (this.running !== null || this.mode !== 'stopped' || this.desired === 'stopped') return;
    if (isDiskStuck || isKeptClosed) return;
    this.isExhausted = this.isUnstartable || isDiskFull;
    if (!this.isExhausted) this.run(this.isStandby ? 'standby' : 'read-write');
  }
}
