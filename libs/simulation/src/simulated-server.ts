import {
  type ConsentRequest,
  closedByOthersFromMs,
  commitsShallWait,
  type Decision,
  doubtedRecord,
  type EffectKind,
  type FailoverType,
  grantsToPeer,
  type HaEvent,
  type HaState,
  isServing,
  newRecord,
  type PeerView,
  parseLsn,
  replacementRefusal,
  type Server,
  type ServerRecord,
  type ServerRole,
  type Settings,
  toldOfRecord,
} from '@understudy/ha-core';
import { DecisionTooLate, EffectError } from '@understudy/ha-runtime';
import type { Adversity, Course } from './adversity.ts';
import { LawOfTaking } from './law-of-taking.ts';
import { Life } from './life.ts';
import type { SeededRandom } from './seeded-random.ts';
import { SimulatedDatabase, type Write } from './simulated-database.ts';
import { type HeartbeatPlace, SimulatedHeartbeat } from './simulated-heartbeat.ts';
import { type EventWithoutTime, JournalFailed, SimulatedManager, WrongPair } from './simulated-manager.ts';
import type { SimulatedNetwork } from './simulated-network.ts';
import type { SimulatedWitness } from './simulated-witness.ts';
import type { VirtualClock } from './virtual-clock.ts';

const OBSERVE_MS = 1000;
const GUARD_MS = 100;
/** Until db-replication has done what it was told of commits. */
const COMMITS_MS = 200;
/** The runner starts a manager again that has ended. */
const RESTART_MS = 1000;
/** The virtual clock begins in 2023: there are more seconds than epochs were ever used. */
const UNIX_SECONDS = 1_700_000_000;
const KEPT_REQUESTS = 50;
const STOP_LOOK_MS = 100;
const STOP_ANSWER_LIMIT_MS = 4000;
const STOP_HAND_OVER_LIMIT_MS = 20_000;

/** What a simulated server has around it. */
export interface Surroundings {
  readonly clock: VirtualClock;
  readonly random: SeededRandom;
  readonly network: SimulatedNetwork;
  readonly adversity: Adversity;
  /** Between two beats. */
  readonly beatMs: number;
  /** Between two looks at the witness. */
  readonly renewMs: number;
  other(server: SimulatedServer): SimulatedServer;
  courseOf(kind: EffectKind): Course;
  isPositionUnknown(): boolean;
  /** The witness that keeps a lease, when this server can reach it. */
  witness(from: SimulatedServer): SimulatedWitness | null;
  /** Whether this server can reach a witness of whatever kind. */
  seesWitness(from: SimulatedServer): boolean;
  /** How long the next message to or from the witness takes; null: it is lost. */
  witnessMessageMs(): number | null;
  newTimeline(): number;
  /** A client is told that its write is safe, by a server of a pair or by one that is in none. */
  acknowledge(write: Write, isOfPair: boolean): void;
  /** Acknowledged writes that the other server has and this one lacks. */
  acknowledgedMissing(server: SimulatedServer): number;
  /** Told of every decision. */
  decided(server: SimulatedServer, decision: Decision, cause: HaEvent): void;
}

/** A request of the peer. */
export type PeerRequest =
  | ({ readonly type: 'consent-requested' } & ConsentRequest)
  | { readonly type: 'hand-over-requested'; readonly operationId: string };

/** One server of the pair: a machine, its disk, PostgreSQL, the application, heartbeat and manager. */
export class SimulatedServer {
  /** The machine, while it is switched on. */
  life: Life | null = null;
  manager: SimulatedManager | null = null;
  /** The record as it would survive. */
  disk: ServerRecord;
  /** The same at the last start, as a backup would have it. */
  private backup: ServerRecord;
  readonly database: SimulatedDatabase;
  processesRunning = false;
  private isCompleting = false;
  /** A process of the application survives SIGKILL. */
  unkillable = false;
  /** The application does not start here. */
  broken = false;
  isDiskStuck = false;
  isDiskFull = false;
  /** The next record cannot be written. */
  journalFails = false;
  /** The peer that is pinned, by its pair and its machine; kept on disk. */
  pin: string | null = null;
  pinnedMachine: number | null = null;
  /** Which machine this is: another one shows another certificate. */
  machine = 1;
  /** Being stopped on purpose. */
  stopping = false;
  /** Requests that were sent to this server, the newest last. */
  readonly received: PeerRequest[] = [];
  readonly history: HaState[] = [];
  readonly rules: string[] = [];
  /** Last time that something was in the way of this server's own decisions: a failed step, a standstill, a start. */
  disturbedAtMs = 0;
  /** Last time that the machine went on after a standstill. */
  thawedAtMs = Number.NEGATIVE_INFINITY;
  /** Until when the manager did not decide: it stood still, or did not run. */
  standstillUntilMs = 0;
  /** What broke a law while an event was handled; the pair looks at it after each step. */
  brokenLaw: string | null = null;
  private heartbeat: SimulatedHeartbeat | null = null;
  private runs = 0;
  /** Until when the manager has noted that this server may serve, for the runner and for the next manager. */
  private rightUntilMs: number | null = null;
  private isGuarded = false;
  private last: Server | null = null;
  private commitsSaid = '';
  private readonly law: LawOfTaking;

  constructor(
    readonly role: ServerRole,
    readonly around: Surroundings,
    readonly settings: Settings,
  ) {
    this.disk = newRecord(role, 'none');
    this.backup = this.disk;
    this.law = new LawOfTaking(this);
    this.database = new SimulatedDatabase(this, role === 'primary' ? 'stopped' : 'none');
  }

  get other(): SimulatedServer {
    return this.around.other(this);
  }

  get record(): ServerRecord {
    return this.manager?.host.view.record ?? this.disk;
  }

  /** What the manager knows; null: it does not run. */
  get view(): Server | null {
    return this.manager?.host.view ?? null;
  }

  get up(): boolean {
    return this.life !== null;
  }

  /** The whole machine stands still. */
  get frozen(): boolean {
    return this.life?.isFrozen === true;
  }

  /** Up, and nothing that it needs for decisions stands still. */
  get awake(): boolean {
    return this.manager !== null && !this.frozen && !this.manager.life.isFrozen && !this.isDiskStuck;
  }

  get serving(): boolean {
    return this.up && !this.frozen && isServing(this.record) && this.database.mode === 'read-write';
  }

  /** When the peer was heard last. */
  get heardAtMs(): number {
    return this.heartbeat?.heardAtMs ?? 0;
  }

  get isKeptClosed(): boolean {
    return this.rightUntilMs !== null && this.around.clock.nowMs > this.rightUntilMs;
  }

  get isPaired(): boolean {
    return this.pin !== null;
  }

  /** Power on. */
  boot(): void {
    if (this.life !== null) return;
    const { clock, random, beatMs } = this.around;
    const life = new Life(clock);
    this.life = life;
    this.runs += 1;
    this.stopping = false;
    this.rightUntilMs = null;
    this.isGuarded = false;
    this.backup = this.disk;
    this.law.started(this.disk);
    this.database.begin(life);
    this.heartbeat = new SimulatedHeartbeat(life, this.heartbeatPlace(life), beatMs, random.below(beatMs));
    life.every(OBSERVE_MS, random.below(OBSERVE_MS), () => this.observe());
    this.startManager();
  }

  /** Power off at once: nothing says good-bye. */
  crash(): void {
    this.life?.end();
    this.life = null;
    this.manager = null;
    this.heartbeat = null;
    this.last = null;
    this.unkillable = false;
    this.processesRunning = false;
    this.isDiskStuck = false;
    this.database.die();
  }

  /** The machine is lost with all that it had. A new one stands in its place, installed and not paired. */
  loseMachine(): void {
    this.crash();
    this.machine += 1;
    this.disk = newRecord(this.role, 'none');
    this.pinPeer(null);
    this.received.length = 0;
    this.isDiskFull = false;
    this.journalFails = false;
    this.database.lose();
    this.boot();
  }

  /**
   * The machine goes down, and its record is lost. `journal`: the node store still has it; `both`: nothing has; `restored`: what is left
   * is as old as the last start.
   */
  loseRecord(lost: 'journal' | 'both' | 'restored'): void {
    this.crash();
    const found = { journal: this.disk, both: null, restored: this.backup }[lost];
    const epoch = UNIX_SECONDS + Math.floor(this.around.clock.nowMs / 1000);
    const pairId = this.pin !== null && !found?.dissolved.includes(this.pin) ? this.pin : (found?.pairId ?? null);
    this.disk =
      pairId === null
        ? { ...(found ?? newRecord(this.role, 'none')), epoch }
        : doubtedRecord(this.role, found, { pairId, epoch, doubt: `lost: ${lost}` });
  }

  /** Pins the other server as it is now, by its pair; null: forgets the peer. */
  pinPeer(pairId: string | null): void {
    this.pin = pairId;
    this.pinnedMachine = pairId === null ? null : this.other.machine;
  }

  /** The manager ends, and the runner starts it again. */
  restartManager(): void {
    this.manager?.end();
    this.manager = null;
    this.life?.after(RESTART_MS, () => this.startManager());
  }

  /**
   * Stopped on purpose: a primary waits for a short time until the secondary has taken over. Spec: "How High Availability Works".
   */
  shutDown(): void {
    const { life, view } = this;
    if (life === null || this.stopping) return;
    const { record, link, peer, database } = view ?? {};
    const isHandedOver =
      record?.role === 'primary' &&
      record.failoverType === 'automatic' &&
      record.maintenance === null &&
      isServing(record) &&
      link === 'up' &&
      peer?.state === 'secondary-syncing' &&
      database?.streaming === true;
    if (!isHandedOver) {
      this.crash();
      return;
    }
    this.stopping = true;
    const begunAtMs = life.nowMs;
    life.every(STOP_LOOK_MS, STOP_LOOK_MS, () => {
      this.hintPeer();
      const waitedMs = life.nowMs - begunAtMs;
      const isTakenOver = this.record.hold === 0 && this.view?.peer?.serving === true;
      const isNotAnswered = this.record.state === 'primary-active' && waitedMs > STOP_ANSWER_LIMIT_MS;
      if (isTakenOver || isNotAnswered || waitedMs > STOP_HAND_OVER_LIMIT_MS) this.crash();
    });
  }

  /** The whole machine stands still. */
  freeze(): void {
    this.life?.freeze();
  }

  /** Only the manager stands still. */
  freezeManager(): void {
    this.manager?.life.freeze();
  }

  /** Whatever stood still goes on. */
  thaw(): void {
    if (this.life === null) return;
    if (this.frozen || this.manager?.life.isFrozen || this.isDiskStuck) this.stoodStill();
    this.isDiskStuck = false;
    this.life.thaw();
    this.manager?.life.thaw();
  }

  /** There is no room on the disk any more: PostgreSQL ends, the journal needs none. */
  fillDisk(): void {
    this.isDiskFull = true;
    this.database.die();
  }

  /** An event reaches the state machine. Rejects when no manager decides about it. */
  feed(event: EventWithoutTime): Promise<Decision> {
    return this.manager?.submit(event) ?? Promise.reject(new Error('the manager does not run'));
  }

  /** The same, without waiting for what follows. */
  tell(event: EventWithoutTime): void {
    this.manager?.tell(event);
  }

  /** What the peer gets as the answer to a beat. */
  async answerBeat(pairId: string): Promise<PeerView> {
    const { record } = this;
    // a server that has forgotten its peer does not answer its beats; asked at its URL, it says what became of the pair
    if (this.pin !== pairId || (record.pairId === null && record.inFlight === null)) throw new WrongPair('wrong pair');
    const { server } = await this.feed({ type: 'beat-answered' });
    return this.status(server);
  }

  /** The peer asks for consent or for the hand-over: whether it gets it. */
  async requested(pairId: string, request: PeerRequest): Promise<boolean> {
    if (this.record.pairId !== pairId) throw new WrongPair('wrong pair');
    this.received.push(request);
    if (this.received.length > KEPT_REQUESTS) this.received.shift();
    if (request.type === 'hand-over-requested' && this.record.operation?.id === request.operationId) return true;
    const { rule } = await this.feed(request);
    if (request.type === 'hand-over-requested') return rule !== null;
    return rule?.change?.includes('give-consent') ?? false;
  }

  async dissolved(pairId: string): Promise<void> {
    await this.feed({ type: 'pair-dissolved', pairId });
  }

  /** What completes a registration is refused while another is being completed. */
  private async oneAtATime(complete: () => Promise<string>): Promise<string> {
    if (this.isCompleting) return 'already-paired';
    this.isCompleting = true;
    return complete().finally(() => {
      this.isCompleting = false;
    });
  }

  /** A primary asks to be registered with. */
  asksToRegister(pairId: string, failoverType: FailoverType): Promise<string> {
    return this.oneAtATime(() => this.beRegistered(pairId, failoverType));
  }

  private async beRegistered(pairId: string, failoverType: FailoverType): Promise<string> {
    const { record } = this;
    const isUnderWay = record.pairId === pairId && record.state === 'ha-initializing' && this.pin === pairId;
    if (isUnderWay) return 'accepted';
    if (record.pairId !== null) return 'already-paired';
    if (record.inFlight !== null) return 'not-ready';
    this.pinPeer(pairId);
    const { rule } = await this.feed({ type: 'registration-begun', operationId: pairId, pairId, failoverType });
    if (rule !== null) return 'accepted';
    this.pinPeer(null);
    return 'refused';
  }

  /** A new primary asks to take the place of the lost one. It is pinned before the record says so; the manager may end in between. */
  asksToReplace(pairId: string, failoverType: FailoverType): Promise<string> {
    return this.oneAtATime(() => this.beGivenAnotherPrimary(pairId, failoverType));
  }

  private async beGivenAnotherPrimary(pairId: string, failoverType: FailoverType): Promise<string> {
    const { view, pin, pinnedMachine } = this;
    const isPinnedPrimary = pinnedMachine === this.other.machine;
    if (isPinnedPrimary && pin === pairId && this.record.pairId === pairId) return 'accepted';
    if (view === null || replacementRefusal(view, isPinnedPrimary) !== null) return 'not-replaceable';
    this.pinPeer(pairId);
    const { rule } = await this.feed({ type: 'replacement-begun', pairId, failoverType, isPinnedPrimary });
    if (rule !== null) return 'accepted';
    Object.assign(this, { pin, pinnedMachine });
    return 'refused';
  }

  async abandoned(pairId: string): Promise<void> {
    if (this.record.pairId === pairId) await this.feed({ type: 'registration-abandoned' });
  }

  /** The databases stream: one writes, the other follows it and has no write of its own. */
  get streaming(): boolean {
    const source = this.source();
    return this.database.streamsFrom(source) || source?.streamsFrom(this.database) === true;
  }

  /** The database of the other server, when the stream can come from there. */
  source(): SimulatedDatabase | null {
    const { other } = this;
    const isReached =
      this.around.network.connects('replication') && this.up && other.up && !other.frozen && !this.frozen;
    const isStranger =
      (this.pinnedMachine ?? other.machine) !== other.machine || (other.pinnedMachine ?? this.machine) !== this.machine;
    return isReached && !isStranger && !other.isDiskStuck ? other.database : null;
  }

  hasReceived(lsn: string): boolean {
    return parseLsn(this.database.lsn) >= parseLsn(lsn);
  }

  courseOf(kind: EffectKind): Course {
    return this.around.courseOf(kind);
  }

  isPositionUnknown(): boolean {
    return this.around.isPositionUnknown();
  }

  newTimeline(): number {
    return this.around.newTimeline();
  }

  acknowledge(write: Write): void {
    this.around.acknowledge(write, this.record.pairId !== null);
  }

  startProcesses(): void {
    this.processesRunning = true;
    if (this.broken) throw new EffectError('process-failed', 'the application does not start');
  }

  stopProcesses(): void {
    if (this.unkillable) throw new EffectError('process-not-stopped', 'a process of the application does not end');
    this.processesRunning = false;
  }

  /** What cannot be killed is not counted: it cannot write either, once its database is closed. */
  killProcesses(): void {
    this.processesRunning = false;
  }

  /** The manager asks for the database to be opened. */
  asksToOpen(): void {
    this.law.askedToOpen();
  }

  opens(): void {
    this.law.opens(this.last);
  }

  /** A decision is durable. */
  announced(decision: Decision, cause: HaEvent): void {
    const before = this.last?.record ?? this.disk;
    this.last = decision.server;
    const { record } = decision.server;
    this.noteRight(decision.server);
    this.tellOfCommits(record);
    this.law.decided(decision, cause, before);
    if (cause.type === 'effect-failed') this.disturbed();
    if (decision.rule !== null) this.rules.push(decision.rule.id);
    if (record.state !== before.state) this.history.push(record.state);
    this.around.decided(this, decision, cause);
    if (decision.rule !== null || decision.effects !== null) this.hintPeer();
  }

  /** The state machine cannot go on: the manager ends. Only what the simulation did to its journal is no fault of the product. */
  managerBroken(error: unknown): void {
    if (!(error instanceof JournalFailed || error instanceof DecisionTooLate))
      this.brokenLaw ??= `the ${this.role} stops deciding: ${String(error)}`;
    this.restartManager();
  }

  failsToKeep(): boolean {
    const fails = this.journalFails;
    this.journalFails = false;
    return fails;
  }

  private startManager(): void {
    this.isCompleting = false;
    if (this.life === null || this.manager !== null) return;
    this.stoodStill();
    this.commitsSaid = '';
    this.manager = new SimulatedManager(this, this.life, this.disk, this.settings, this.rightUntilMs ?? 0);
    this.last = this.manager.host.view;
    this.law.managerStarted(this.disk);
    const runId = `${this.role}-${this.runs}`;
    this.tell({ type: 'boot', runId, sameRun: this.disk.runId === runId });
  }

  private disturbed(): void {
    this.disturbedAtMs = this.around.clock.nowMs;
  }

  private stoodStill(): void {
    this.disturbed();
    this.standstillUntilMs = this.around.clock.nowMs;
    if (this.frozen) this.thawedAtMs = this.around.clock.nowMs;
  }

  private status(server: Server): PeerView {
    const { record } = server;
    return {
      ...toldOfRecord(record),
      lsn: this.database.mode === 'none' || this.isPositionUnknown() ? null : this.database.lsn,
      lagBytes: this.lagOfStandby(),
      streaming: this.streaming,
      databaseUsable: this.database.isRunning,
      processesOk: !isServing(record) || this.processesRunning,
      stopping: this.stopping,
      grants: grantsToPeer(server),
    };
  }

  /** As an active server measures it: what its standby has not confirmed. */
  private lagOfStandby(): number | null {
    const standby = this.source();
    if (standby === null || !standby.streamsFrom(this.database)) return null;
    return Number(parseLsn(this.database.lsn) - parseLsn(standby.lsn));
  }

  /** db-replication reports. */
  private observe(): void {
    const { database } = this;
    const isUsable = database.isRunning && !this.isDiskStuck;
    this.tell({
      type: 'database-observed',
      database: {
        running: database.isRunning,
        usable: isUsable,
        streaming: isUsable && this.streaming,
        lsn: database.mode === 'none' || this.isPositionUnknown() ? null : database.lsn,
        lagBytes: 0,
        restartsExhausted: database.isExhausted,
        commitsConfirmedSince: isUsable ? database.commitsConfirmedSince(this.source()) : null,
      },
    });
  }

  /** The runner closes a server whose right has ended and whose manager has not closed it. It looks often; here, when it matters. */
  private guard(): void {
    const { life, rightUntilMs } = this;
    if (life === null || rightUntilMs === null || this.isGuarded) return;
    this.isGuarded = true;
    life.at(Math.max(rightUntilMs, life.nowMs) + GUARD_MS, () => {
      this.isGuarded = false;
      if (this.isKeptClosed) {
        this.processesRunning = false;
        this.database.die();
      }
      this.guard();
    });
  }

  /** db-replication is told whether commits wait. */
  private tellOfCommits(record: ServerRecord): void {
    const waitSince = commitsShallWait(record);
    const said = `${record.decisions} ${waitSince}`;
    if (waitSince === undefined || this.commitsSaid === said) return;
    this.commitsSaid = said;
    const commits = { sequence: record.decisions, waitSince };
    this.life?.after(this.around.random.below(COMMITS_MS), () => this.database.setCommits(commits));
  }

  private noteRight(server: Server): void {
    this.rightUntilMs = closedByOthersFromMs(server);
    this.guard();
  }

  private hintPeer(): void {
    const { network } = this.around;
    network.send(this, this.other, 'pair-link', () => this.other.heartbeat?.hint());
  }

  private heartbeatPlace(life: Life): HeartbeatPlace {
    const { network } = this.around;
    return {
      pin: () => this.pin,
      askPeer: (pairId, timeoutMs) => {
        const way = { from: this, to: this.other, channel: 'pair-link', asking: life } as const;
        return network.request(way, timeoutMs, () => this.other.answerBeat(pairId));
      },
      openUrl: (pairId) => {
        const { other } = this;
        // who may be asked is the manager: without one the URL does not answer
        if (!network.connects('https') || !other.awake || this.pinnedMachine !== other.machine) return null;
        return { dissolved: other.record.dissolved.includes(pairId) };
      },
      heard: (status, sentAtMs) => this.tell({ type: 'peer-heard', status, sentAtMs }),
      lost: (fact) => this.tell({ type: fact }),
      dissolved: (pairId) => this.tell({ type: 'pair-dissolved', pairId }),
    };
  }
}
