import { setTimeout as delay } from 'node:timers/promises';
import {
  AnnounceDissolution,
  AnnounceMaintenance,
  CommitsShallWait,
  type DatabaseFacts,
  DatabaseFactsObserved,
  DatabaseIncident,
  FileSyncIncident,
  FileSyncObserved,
  type FilesView,
  type HaConfigurationView,
  OwnStatusChanged,
  PeerAnsweredProbe,
  PeerConfirmedLost,
  PeerDissolvedPair,
  PeerHeard,
  PeerLost,
  RequestConsent,
  RequestHandover,
  type ServerStatus,
  type StatusView,
  WatchPeer,
} from '@understudy/contracts';
import {
  closedByOthersFromMs,
  commitsShallWait,
  type Decision,
  HA_STATE_LABELS,
  type HaEvent,
  isServing,
  type OperatorEventType,
  type Server,
  type ServerRecord,
  toldProtection,
} from '@understudy/ha-core';
import { type DatabasePort, HaHost, OrderTooLate, type PeerPort } from '@understudy/ha-runtime';
import { type Bus, BusError, type CloseReason } from '@understudy/messaging';
import { type ServiceEnvironment, wordLastsMs } from '@understudy/platform';
import { at, Meter, placeOf } from '@understudy/telemetry';
import { eventOf } from '../domain/event-text.ts';
import { Repetition } from '../domain/repetition.ts';
import { Silence } from '../domain/silence.ts';
import { ownStatus, peerView, refusalOf, statusView, type ViewContext } from '../domain/views.ts';
import type { ApplicationProcesses } from '../ports/application-processes.port.ts';
import type { VirtualIp } from '../virtual-ip/index.ts';
import type { EventLog } from './event-log.ts';
import { handOverFiles, stoppingWith } from './files-hand-over.ts';
import { measured } from './measured.ts';
import { Operations } from './operations.ts';
import type { Pairing } from './pairing.ts';
import type { RecordKeeper } from './record-keeper.ts';
import type { ServingRight } from './serving-right.ts';
import { SwitchTrace } from './switch-trace.ts';
import { type WitnessService, witnessSettings } from './witness.service.ts';

const TICK_MS = 1000;
/** A primary that is being stopped: how often it looks, how long the secondary may take to react, and to take over. */
const STOP_LOOK_MS = 100;
const STOP_ANSWER_LIMIT_MS = 4000;
const STOP_HAND_OVER_LIMIT_MS = 20_000;
const WATCH_REPEAT_MS = 5000;
/** So much later than the heartbeat service should have said that the peer is lost, it is believed to be dead. */
const SILENCE_MARGIN_MS = 5000;
/** File-sync says how its sets are every second. */
const FILES_VALID_MS = 5000;

const JOURNAL_SILENT =
  'The journal of decisions does not answer: nothing is decided, and the lease is not renewed, until the disk does';
const JOURNAL_REWRITTEN = {
  severity: 'critical',
  code: 'journal-rewritten',
  message: 'The journal of decisions was removed, replaced or cut short while it was in use: written anew from memory',
} as const;

/** An order without its time. */
export type Order<E extends HaEvent = HaEvent & { type: OperatorEventType }> = E extends HaEvent
  ? Omit<E, 'atMs'>
  : never;

/** Hosts the state machine of this server: feeds it facts, performs what it decides, tells the world. */
export class HealthMonitorService {
  readonly operations: Operations;
  readonly meter = new Meter();
  private readonly host: HaHost;
  private readonly trace: SwitchTrace;
  private facts: DatabaseFacts | null = null;
  private files: { readonly view: FilesView; readonly atMs: number } | null = null;
  private roundTripMs: number | null = null;
  /** As heartbeat has told last. */
  private missedBeats = 0;
  private timers: NodeJS.Timeout[] = [];
  private stopping = false;
  private opensNothing = false;
  private isWitnessReachable: boolean | null = null;
  /** Ticks since the peer was heard of last. */
  private silentTicks = 0;
  private readonly silence: Silence;
  /** What it was told last of the commits of the active server, or tells of its own. */
  private lastWord = '';
  private readonly said = new Repetition();
  private wasJournalSilent = false;
  /** What was lost of the record, as last decided. */
  private doubt: string | null;

  constructor(
    private readonly env: ServiceEnvironment,
    private readonly bus: Bus,
    private readonly keeper: RecordKeeper,
    readonly events: EventLog,
    private readonly processes: ApplicationProcesses,
    private readonly pairing: Pairing,
    database: DatabasePort,
    peer: (pairId: () => string | null) => PeerPort,
    private readonly witness: WitnessService | null,
    private readonly right: ServingRight,
    private readonly virtualIp: VirtualIp,
  ) {
    const { configuration, clock } = env;
    this.operations = new Operations(clock);
    this.silence = new Silence(configuration.heartbeat.intervalSeconds * 1000);
    this.doubt = keeper.record.doubt;
    this.trace = new SwitchTrace(clock, env.logger, keeper.record);
    this.host = new HaHost(
      {
        clock,
        journal: keeper,
        database,
        processes: stoppingWith(processes, () => this.applicationStopped()),
        peer: peer(() => this.host.view.record.pairId),
        registration: pairing,
        witness: witness?.port ?? null,
        tracing: measured(this.trace, this.meter, clock),
        announce: (decision, cause) => this.announce(decision, cause),
      },
      keeper.record,
      {
        maximumLagBytes: configuration.failover.maximumLagBytes,
        minimumBetweenFailoversMs: configuration.failover.minimumSecondsBetween * 1000,
        replication: configuration.database.replication,
        wordLastsMs: wordLastsMs(configuration.heartbeat),
        witness: witnessSettings(configuration),
      },
      (error) => this.cannotKeep(error),
      right.untilMs,
    );
  }

  /** Begins to listen and to decide. */
  async start(): Promise<void> {
    const { runId } = this.env;
    const sameRun = this.host.view.record.runId === runId;
    this.events.add({
      severity: 'info',
      code: 'health-monitor-available',
      message: sameRun
        ? 'Health Monitor Available: the manager was restarted'
        : 'Health Monitor Available: the server was started',
      state: HA_STATE_LABELS['health-monitor-available'],
      previousState: null,
      rule: null,
      epoch: this.host.view.record.epoch,
    });
    const { notice } = this.keeper;
    if (notice !== null) this.events.note(notice, this.record.epoch);
    this.listen();
    await this.submit({ type: 'boot', runId, sameRun });
    const { record } = this;
    // what is opened once more claims the address itself, and has not lost it meanwhile
    const isLeft = sameRun && record.hold !== 0 && !record.closing;
    this.virtualIp.start(isServing(record) && record.inFlight === null ? 'open' : isLeft ? 'as-left' : 'closed');
    // what the last manager was opening may have lost its right meanwhile
    this.tick();
    this.publishWatch();
    this.witness?.start(
      () => this.record,
      (witness) => {
        this.noteWitness(witness.reachable);
        return this.submit({ type: 'witness-observed', witness }).catch(() => undefined);
      },
      (pairId) => void this.submit({ type: 'pair-dissolved', pairId }).catch(() => undefined),
    );
    this.timers = [setInterval(() => this.tick(), TICK_MS), setInterval(() => this.publishWatch(), WATCH_REPEAT_MS)];
  }

  /** Stops deciding. `service-restart` leaves the application running for the next manager; otherwise it is stopped too. */
  async close(reason: CloseReason): Promise<void> {
    try {
      if (reason === 'server-shutdown') await this.handOverBeforeStop();
      if (reason !== 'service-restart') {
        this.opensNothing = true;
        await this.host.beginNothing();
        await this.processes.stopEverything();
      }
    } finally {
      for (const timer of this.timers) clearInterval(timer);
      await this.witness?.close();
      await this.host.stop();
    }
    if (reason === 'service-restart') await this.processes.release();
  }

  /**
   * A primary that is stopped on purpose under automatic failover waits for the secondary to take over, so that nothing is lost and the
   * pause is short. Spec: "How High Availability Works". It stops all the same when the secondary does not.
   */
  private async handOverBeforeStop(): Promise<void> {
    const { record, link, peer, database } = this.host.view;
    const isPossible =
      record.role === 'primary' &&
      record.failoverType === 'automatic' &&
      record.maintenance === null &&
      isServing(record) &&
      link === 'up' &&
      peer?.state === 'secondary-syncing' &&
      database?.streaming === true;
    if (!isPossible) return;
    this.stopping = true;
    this.env.logger.info('Stopping: waiting for the secondary to take over');
    const begunAtMs = this.env.clock.nowMs();
    for (;;) {
      this.bus.publish(OwnStatusChanged, { state: this.record.state, epoch: this.record.epoch });
      await delay(STOP_LOOK_MS);
      const { record: now, peer: other } = this.host.view;
      const waitedMs = this.env.clock.nowMs() - begunAtMs;
      if (now.hold === 0 && other?.serving === true) return;
      if (isServing(now) && waitedMs > STOP_ANSWER_LIMIT_MS) return;
      if (waitedMs > STOP_HAND_OVER_LIMIT_MS) return;
    }
  }

  /** Body of GET /api/v1/ha/status. */
  status(): StatusView {
    return statusView(this.host.view, this.context());
  }

  /** The HA configuration, GET /api/v1/ha/configuration. */
  configuration(): HaConfigurationView {
    const { record } = this.host.view;
    return this.pairing.view(record);
  }

  /** Answers a beat of the peer: from now on it may serve by this answer for the time of a lease, and this server must not take over. */
  async answerBeat(): Promise<ServerStatus> {
    // by what the decision saw: what is granted must be what was noted
    const { server } = await this.submit({ type: 'beat-answered' });
    return ownStatus(server, this.context());
  }

  /** What it knows once it has decided anew: no answer, when its decisions cannot be kept. */
  async decideNow(): Promise<Server> {
    return (await this.submit({ type: 'tick', unixMs: this.env.clock.unixMs() })).server;
  }

  /** What the peer is told in the answer to a beat. */
  ownStatus(): ServerStatus {
    return ownStatus(this.host.view, this.context());
  }

  /** What is being done at the moment. */
  get progress() {
    return this.host.progress;
  }

  /** What this server knows and has decided. */
  get view() {
    return this.host.view;
  }

  /** The record as last decided. */
  get record() {
    return this.host.view.record;
  }

  /** Why an order would be refused now, null when it would be taken. */
  refusalOf(order: Order): BusError | null {
    const event = { ...order, atMs: this.env.clock.nowMs() } as HaEvent & { type: OperatorEventType };
    const refusal = refusalOf(this.host.view, event);
    return refusal && new BusError(refusal.code, refusal.message);
  }

  /** Gives an order to the state machine. Throws BusError with the failing condition when it is refused. */
  async order(order: Order): Promise<void> {
    const refusal = this.refusalOf(order);
    if (refusal !== null) throw refusal;
    const event = { ...order, atMs: this.env.clock.nowMs() } as HaEvent;
    const decision = await this.host.submit(event).catch((error: unknown) => {
      throw error instanceof OrderTooLate ? new BusError('not-allowed', error.message) : error;
    });
    if (decision.rule === null) throw new BusError('not-allowed', decision.refusal ?? 'not possible now');
  }

  /** Feeds an event to the state machine, now. */
  submit(event: HaEvent extends infer E ? (E extends HaEvent ? Omit<E, 'atMs'> : never) : never): Promise<Decision> {
    return this.host.submit({ ...event, atMs: this.env.clock.nowMs() } as HaEvent);
  }

  /** A process that the application cannot do without could not be kept running, or runs again (`null`). */
  processFailed(process: string | null): void {
    void this.submit(process === null ? { type: 'process-recovered' } : { type: 'process-failed', process }).catch(
      () => undefined,
    );
  }

  /** The pairing changed: heartbeat has another peer to watch. */
  publishWatch(): void {
    this.bus.publish(WatchPeer, { peer: this.pairing.peer });
  }

  private listen(): void {
    const { bus } = this;
    const { clock } = this.env;
    const fact = (event: Parameters<HealthMonitorService['submit']>[0]) =>
      void this.submit(event).catch(() => undefined);
    bus.subscribe(PeerHeard, ({ status, roundTripMs, sentAtMs, missedBeats }) => {
      this.roundTripMs = roundTripMs;
      this.meter.record('understudy.heartbeat.round_trip', roundTripMs / 1000);
      this.countMissed(missedBeats);
      this.silentTicks = 0;
      this.silence.ended();
      const heard = { status: peerView(status), ...(sentAtMs === undefined ? {} : { sentAtMs }) };
      at(placeOf(status.trace), () => fact({ type: 'peer-heard', ...heard }));
    });
    bus.subscribe(PeerLost, ({ silentMs, missedBeats }) => {
      this.countMissed(missedBeats);
      if (!this.silence.isConfirmed(silentMs, clock.nowMs())) fact({ type: 'peer-lost' });
    });
    bus.subscribe(PeerConfirmedLost, ({ silentMs }) => {
      this.silence.confirmed(silentMs, clock.nowMs());
      fact({ type: 'peer-confirmed-lost' });
    });
    bus.subscribe(PeerAnsweredProbe, () => {
      this.silence.ended();
      fact({ type: 'peer-answered-probe' });
    });
    bus.subscribe(PeerDissolvedPair, ({ pairId, replaced = false }) =>
      fact({ type: 'pair-dissolved', pairId, replaced }),
    );
    bus.subscribe(DatabaseFactsObserved, (facts) => {
      this.facts = facts;
      this.trace.observed(facts);
      const { running, usable, streaming, lsn, lagBytes, restartsExhausted, commitsConfirmedSince = null } = facts;
      const database = { running, usable, streaming, lsn, lagBytes, restartsExhausted, commitsConfirmedSince };
      fact({ type: 'database-observed', database });
    });
    bus.subscribe(DatabaseIncident, (incident) => this.events.note(incident, this.record.epoch));
    bus.subscribe(FileSyncIncident, (incident) => this.events.note(incident, this.record.epoch));
    bus.subscribe(FileSyncObserved, (view) => {
      this.files = { view, atMs: this.env.clock.nowMs() };
    });
    bus.handle(RequestConsent, async ({ pairId, nonce, ...request }) => {
      this.requireOwnPair(pairId);
      const decision = await this.submit({ type: 'consent-requested', nonce, ...request });
      const granted = decision.rule?.change?.includes('give-consent') ?? false;
      return { nonce, granted, reason: granted ? '' : (decision.refusal ?? 'refused'), status: this.ownStatus() };
    });
    bus.handle(AnnounceDissolution, async ({ pairId }) => {
      await this.submit({ type: 'pair-dissolved', pairId });
      return {};
    });
    bus.handle(AnnounceMaintenance, async ({ pairId, minutes, reason }) => {
      this.requireOwnPair(pairId);
      const { refusal } = await this.submit(
        minutes === null
          ? { type: 'operator-maintenance-end' }
          : { type: 'operator-maintenance', minutes, reason, unixMs: this.env.clock.unixMs() },
      );
      return { accepted: refusal === null, reason: refusal ?? '' };
    });
    bus.handle(RequestHandover, async ({ pairId, operationId }) => {
      this.requireOwnPair(pairId);
      if (this.record.operation?.id === operationId) return { accepted: true, reason: 'already under way' };
      const decision = await this.submit({ type: 'hand-over-requested', operationId });
      return { accepted: decision.rule !== null, reason: decision.refusal ?? '' };
    });
  }

  /** `total`: since the heartbeat service started, which may have been started anew. */
  private countMissed(total = this.missedBeats): void {
    const isSame = total >= this.missedBeats;
    this.meter.count('understudy.heartbeat.missed', {}, isSame ? total - this.missedBeats : total);
    this.missedBeats = total;
  }

  private requireOwnPair(pairId: string): void {
    if (this.record.pairId === null || pairId !== this.record.pairId)
      throw new BusError('wrong-pair', 'this server belongs to another pair, or to none', false);
  }

  private cannotKeep(error: unknown): never {
    const what = 'The decision record cannot be kept, or not in time: stopping before anything is done';
    this.env.logger.error(what, { error });
    process.exit(1);
  }

  private tick(): void {
    void this.decideNow().catch(() => undefined);
    this.lookAtJournal();
    this.noticeSilence();
    this.noticeNobody();
    this.publishCommits(this.record);
    void this.events.save();
  }

  private noteWitness(isReachable: boolean): void {
    const before = this.isWitnessReachable;
    this.isWitnessReachable = isReachable;
    // at a start nothing is said of one that is there, as it should be
    if (before === isReachable || (before === null && isReachable)) return;
    const what = this.env.configuration.witness?.kind === 'gateway' ? 'gateway' : 'witness';
    const message = isReachable
      ? `The ${what} answers again`
      : `The ${what} cannot be reached: no automatic failover, and a server that does not hear its peer either closes itself`;
    const [severity, code] = isReachable
      ? (['info', 'witness-reached'] as const)
      : (['warning', 'witness-lost'] as const);
    this.events.note({ severity, code, message }, this.record.epoch);
  }

  /** A journal that was removed under this process is written anew; one that hangs is told of once. */
  private lookAtJournal(): void {
    const isSilent = this.keeper.silentMs !== null;
    if (isSilent && !this.wasJournalSilent)
      this.events.note({ severity: 'critical', code: 'journal-silent', message: JOURNAL_SILENT }, this.record.epoch);
    if (!isSilent && this.wasJournalSilent)
      this.events.note({ severity: 'info', code: 'journal-answers', message: 'The journal answers again' });
    this.wasJournalSilent = isSilent;
    this.keeper.look().then(
      (wasMissing) => {
        if (wasMissing) this.events.note(JOURNAL_REWRITTEN, this.record.epoch);
      },
      (error: unknown) => this.cannotKeep(error),
    );
  }

  /** A server of a pair without a pinned peer hears nobody and asks nobody: that is told to the state machine, as nobody else can. */
  private noticeNobody(): void {
    const { link, record } = this.host.view;
    if (record.doubt === null || this.pairing.peer !== null || link !== 'unknown') return;
    void this.submit({ type: 'peer-confirmed-lost' }).catch(() => undefined);
  }

  /** Whether commits of PostgreSQL wait for the peer follows from the record, once it is durable. */
  private publishCommits(record: ServerRecord): void {
    const waitSince = commitsShallWait(record);
    if (waitSince !== undefined) this.bus.publish(CommitsShallWait, { sequence: record.decisions, waitSince });
  }

  /** A heartbeat service that is dead or hangs does not say that the peer is lost. Counted in ticks: who stood still has missed nothing. */
  private noticeSilence(): void {
    const { intervalSeconds, missedLimit } = this.env.configuration.heartbeat;
    this.silentTicks += 1;
    if (
      this.host.view.link === 'up' &&
      this.silentTicks * TICK_MS > intervalSeconds * 1000 * (missedLimit + 1) + SILENCE_MARGIN_MS
    )
      void this.submit({ type: 'peer-lost' }).catch(() => undefined);
  }

  /** After the record is durable: the node store, the event list, the operations, the peer. Never throws. */
  private announce(decision: Decision, cause: HaEvent): void {
    const { record } = decision.server;
    this.right.note(closedByOthersFromMs(decision.server));
    if (decision.previousState === 'ha-initializing' && record.state !== 'ha-initializing' && record.pairId !== null)
      this.pairing.committed();
    if (!this.opensNothing && decision.effects?.some(({ kind }) => kind === 'start-processes'))
      this.virtualIp.claimAhead(record.epoch);
    this.operations.follow(decision);
    const { operationEnded } = decision;
    if (operationEnded !== null) {
      const result = operationEnded.succeeded ? 'succeeded' : 'failed';
      this.meter.count('understudy.operations', { kind: operationEnded.kind, result });
    }
    this.noteRebuilt(decision);
    const { epoch, change } = toldProtection(record);
    const word = `${epoch} ${change}`;
    const isNewWord = word !== this.lastWord;
    this.lastWord = word;
    if (decision.rule === null && decision.effects === null) {
      // the active server waits for the standby to know what it was told
      if (isNewWord) this.publishStatusChanged(record);
      return;
    }
    this.publishCommits(record);
    const event = eventOf(decision, cause);
    if (event !== null && !this.said.isOne(decision, cause, this.env.clock.nowMs())) this.events.add(event);
    this.publishStatusChanged(record);
  }

  private publishStatusChanged({ state, epoch }: ServerRecord): void {
    this.bus.publish(OwnStatusChanged, { state, epoch });
  }

  /** Files follow where the role is handed over. */
  private async applicationStopped(): Promise<void> {
    const { cause, epoch, hold } = this.record;
    if (this.env.configuration.fileSets.length === 0 || cause !== 'hand-over' || hold === 0) return;
    await handOverFiles(this.bus, epoch, (message) =>
      this.events.note({ severity: 'warning', code: 'files-not-handed-over', message }, epoch),
    );
  }

  /** What file-sync has said a short while ago; older is not known. */
  private filesNow(): FilesView | null {
    const { files } = this;
    return files !== null && this.env.clock.nowMs() - files.atMs <= FILES_VALID_MS ? files.view : null;
  }

  /** The record is no longer doubted: what it was rebuilt from. */
  private noteRebuilt({ rule, server }: Decision): void {
    const { doubt, epoch } = server.record;
    if (this.doubt !== null && doubt === null) {
      const changes = rule?.change ?? [];
      const source =
        changes.includes('believe-peer') || changes.includes('in-sync')
          ? `from what the ${this.pairing.peer?.name ?? 'peer'} knows`
          : 'on the operator’s word';
      const message = `The record of this server is rebuilt ${source}, at epoch ${epoch}. It was lost: ${this.doubt}`;
      this.events.note({ severity: 'info', code: 'record-rebuilt', message }, epoch);
    }
    this.doubt = doubt;
  }

  private context(): ViewContext {
    const { configuration, clock, version } = this.env;
    const peer = this.pairing.peer;
    return {
      node: { name: configuration.node.name, address: configuration.node.address, version },
      peer: peer && { name: peer.name, address: peer.address },
      facts: this.facts,
      files: this.filesNow(),
      processes: this.processes.views(),
      roundTripMs: this.roundTripMs,
      virtualIp: this.virtualIp.view(),
      progress: this.host.progress,
      stopping: this.stopping,
      trace: this.trace.traceparent,
      journalSilentMs: this.keeper.silentMs,
      nowMs: clock.nowMs(),
      unixMs: clock.unixMs(),
    };
  }
}
