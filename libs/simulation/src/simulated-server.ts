import {
  atStart,
  type Decision,
  decide,
  type Effect,
  formatLsn,
  grantsToPeer,
  type HaEvent,
  isServing,
  keepsLease,
  lineageOf,
  newRecord,
  type PeerView,
  parseLsn,
  replacementRefusal,
  rightToServeUntilMs,
  type Server,
  type ServerRecord,
  type ServerRole,
  type Settings,
  toldOfRecord,
} from '@understudy/ha-core';
import { SimulatedLeaseKeeper, type SimulatedWitness } from './simulated-witness.ts';

/** Every server looks at the time at least so often. */
const LOOK_AT_TIME_MS = 1000;

/** A database as the simulation sees it: a list of writes, each carrying the epoch it was made under. */
export interface SimulatedDatabase {
  mode: 'none' | 'stopped' | 'read-write' | 'standby';
  /** A stopped database starts as a standby. */
  isStandby: boolean;
  log: string[];
}

/** What a simulated server asks of its surroundings. */
export interface Surroundings {
  /** The other server, when both are up and a message from here to there would arrive. */
  reachable(from: SimulatedServer): SimulatedServer | null;
  /** The witness, when this server can reach it. */
  witness(from: SimulatedServer): SimulatedWitness | null;
  /** A message to the other server and its answer; false when one of them is lost. */
  delivers(): boolean;
  /** Whether an effect fails now. */
  effectFails(effect: Effect): boolean;
  /** The code of an effect's failure. */
  failureOf(effect: Effect): string;
  /** How long an effect takes, in milliseconds, and whether it works at the beginning of that time or at its end. */
  effectTakes(kind: string): { readonly ms: number; readonly worksAtOnce: boolean };
  /** Whether the position of a database cannot be read now. */
  positionUnknown(): boolean;
  nowMs(): number;
}

/** A request of the peer. */
type Request =
  | { readonly type: 'consent-requested'; readonly epoch: number; readonly nonce: string }
  | { readonly type: 'hand-over-requested'; readonly operationId: string };

/** Effects being performed, the first of them from `begunAtMs` on. */
interface Work {
  readonly decisionId: string;
  readonly effects: Effect[];
  finalLsn?: string | null;
  /** The first effect has been begun: when it ends, and what it has done already. */
  begun?: { readonly endsAtMs: number; readonly ending: (() => string | null) | null } | undefined;
}

/** What lets a server open its database after a start: consent, an order to act alone, or the search for a later owner. */
const WARRANTS = new Set([
  ...['P-72', 'P-78', 'P-122', 'P-147', 'S-51', 'S-40', 'S-42', 'S-60', 'S-61'],
  ...['S-141', 'S-142', 'S-143', 'S-151'],
]);

/** One server: the real state machine on a simulated database, disk and clock. */
export class SimulatedServer {
  up = true;
  /** Everything of this server stands still, and goes on later as if nothing had been. */
  frozen = false;
  /** When it went on last: a server that stood still notices that only when it has looked at the time. */
  thawedAtMs = Number.NEGATIVE_INFINITY;
  /** A process of the application survives SIGKILL. */
  unkillable = false;
  /** The application does not start here. */
  broken = false;
  /** The peer that is pinned, and the pair with it; kept on disk. */
  pinned: { readonly pairId: string; readonly certificate: number } | null = null;
  /** Requests that were sent to this server. */
  readonly received: Request[] = [];
  processesRunning = false;
  readonly database: SimulatedDatabase;
  readonly history: string[] = [];
  readonly rules: string[] = [];
  /** Writes that were thrown away here by following the peer after a divergence. */
  readonly setAside: string[] = [];
  lastHeardMs = 0;
  /** Being stopped on purpose. */
  stopping = false;
  lastFailureMs = 0;
  /** What broke a law while an event was handled; the pair looks at it after each step. */
  brokenLaw: string | null = null;
  private server: Server;
  private disk: ServerRecord;
  private queue: Work | null = null;
  private runs = 0;
  private hasWarrant = true;
  private keeper: SimulatedLeaseKeeper | null;
  /** The furthest position that the peer has told of, by lineage. */
  private readonly told = new Map<number, bigint>();

  constructor(
    readonly role: ServerRole,
    private readonly around: Surroundings,
    private readonly settings: Settings = { maximumLagBytes: 20, minimumBetweenFailoversMs: 0, witness: null },
    /** Tells this machine from another one of the same role. */
    readonly certificate = 0,
  ) {
    this.disk = newRecord(role, 'none');
    this.keeper = this.newKeeper();
    this.database = { mode: role === 'primary' ? 'stopped' : 'none', isStandby: false, log: [] };
    this.server = atStart(this.disk, settings, 0);
  }

  private newKeeper(): SimulatedLeaseKeeper | null {
    const { witness } = this.settings;
    return witness?.kind === 'nats' ? new SimulatedLeaseKeeper(this.role, witness.leaseMs) : null;
  }

  get record(): ServerRecord {
    return this.server.record;
  }

  get view(): Server {
    return this.server;
  }

  get serving(): boolean {
    return this.up && !this.frozen && isServing(this.record) && this.database.mode === 'read-write';
  }

  /** Up, and not standing still. */
  get awake(): boolean {
    return this.up && !this.frozen;
  }

  get lsn(): string {
    return formatLsn(BigInt(this.database.log.length));
  }

  /** Power on, or only the manager again. */
  boot(sameRun: boolean): void {
    this.up = true;
    this.stopping = false;
    if (!sameRun) this.runs += 1;
    const grantUntilMs = sameRun ? this.server.peerGrantUntilMs : 0;
    this.server = atStart(this.disk, this.settings, this.around.nowMs(), grantUntilMs);
    this.keeper = this.newKeeper();
    this.queue = null;
    this.lastHeardMs = this.around.nowMs();
    // what was only heard is forgotten with the process that heard it
    this.told.clear();
    const { peerPosition } = this.record;
    if (peerPosition !== null) this.told.set(peerPosition.lineage, parseLsn(peerPosition.lsn));
    if (!sameRun) this.hasWarrant = this.record.pairId === null || this.record.state === 'ha-initializing';
    this.feed({ type: 'boot', runId: `${this.role}-${this.runs}`, sameRun });
    this.feed({ type: 'tick', unixMs: this.around.nowMs() });
  }

  /** Power off at once: nothing says good-bye. */
  crash(): void {
    this.up = false;
    this.frozen = false;
    this.unkillable = false;
    this.processesRunning = false;
    this.queue = null;
    this.closeDatabase();
  }

  /** An event reaches the state machine. */
  feed(event: HaEvent extends infer E ? (E extends HaEvent ? Omit<E, 'atMs'> : never) : never): Decision {
    const before = this.record;
    if (event.type === 'peer-heard' && event.status.lsn !== null) {
      const { lineage, lsn } = event.status;
      const told = this.told.get(lineage) ?? 0n;
      this.told.set(lineage, parseLsn(lsn) > told ? parseLsn(lsn) : told);
    }
    const decision = decide(this.server, { ...event, atMs: this.around.nowMs() } as HaEvent);
    this.server = decision.server;
    this.disk = decision.server.record;
    if (decision.rule !== null) {
      this.rules.push(decision.rule.id);
      if (WARRANTS.has(decision.rule.id)) this.hasWarrant = true;
      this.checkTaking(decision, event, before);
    }
    if (this.record.pairId === null) this.hasWarrant = true;
    if (decision.rule?.id === 'P-11') this.hasWarrant = false;
    if (this.record.state !== before.state) this.history.push(this.record.state);
    if (decision.effects !== null)
      this.queue =
        decision.effects.length === 0
          ? null
          : { decisionId: decision.decisionId ?? '', effects: [...decision.effects] };
    return decision;
  }

  /** What the peer gets as the answer to a beat. */
  status(): PeerView {
    const { record } = this;
    return {
      ...toldOfRecord(record),
      lsn: this.database.mode === 'none' || this.around.positionUnknown() ? null : this.lsn,
      lagBytes: this.lagOfStandby(),
      streaming: this.streaming(),
      databaseUsable: this.database.mode === 'read-write' || this.database.mode === 'standby',
      processesOk: !isServing(record) || this.processesRunning,
      stopping: this.stopping,
      grants: grantsToPeer(this.server),
    };
  }

  /** The databases stream: one writes, the other follows it and has no write of its own. */
  streaming(): boolean {
    const other = this.around.reachable(this);
    if (other === null || !this.isPairedWith(other)) return false;
    const [source, standby] = this.database.mode === 'read-write' ? [this, other] : [other, this];
    return (
      source.database.mode === 'read-write' &&
      standby.database.mode === 'standby' &&
      isPrefix(standby.database.log, source.database.log)
    );
  }

  /** Both have pinned each other. */
  private isPairedWith(other: SimulatedServer): boolean {
    return this.pinned?.certificate === other.certificate && other.pinned?.certificate === this.certificate;
  }

  /** The manager looks at the witness, and renews the lease. */
  lookAtWitness(): void {
    if (this.keeper === null) return;
    const serving = keepsLease(this.record);
    const witness = this.keeper.look(this.around.witness(this), serving, this.record.hold, this.around.nowMs());
    this.feed({ type: 'witness-observed', witness });
  }

  /** db-replication reports. */
  observe(): void {
    const { mode } = this.database;
    const running = mode === 'read-write' || mode === 'standby';
    this.feed({
      type: 'database-observed',
      database: {
        running,
        usable: running,
        streaming: this.streaming(),
        lsn: mode === 'none' || this.around.positionUnknown() ? null : this.lsn,
        lagBytes: 0,
        restartsExhausted: false,
      },
    });
  }

  /** Goes on with the effects in flight. */
  work(): void {
    const { queue } = this;
    if (queue === null) return;
    const [effect] = queue.effects;
    if (effect === undefined) {
      this.queue = null;
      this.feed({
        type: 'effects-completed',
        decisionId: queue.decisionId,
        results:
          queue.finalLsn === undefined ? {} : { finalLsn: queue.finalLsn, databaseMissing: queue.finalLsn === null },
      });
      return;
    }
    if (queue.begun === undefined) {
      const { ms, worksAtOnce } = this.around.effectTakes(effect.kind);
      queue.begun = {
        endsAtMs: this.around.nowMs() + ms,
        ending: worksAtOnce && ms > 0 ? this.perform(effect, queue) : null,
      };
    }
    if (this.around.nowMs() < queue.begun.endsAtMs) return;
    const ending = queue.begun.ending ?? this.perform(effect, queue);
    queue.begun = undefined;
    const failure = this.around.effectFails(effect) ? this.around.failureOf(effect) : ending();
    if (this.queue !== queue || failure === 'again') return;
    if (failure === null) {
      queue.effects.shift();
      return;
    }
    // what cannot be stopped shall at least not write
    if (effect.kind === 'stop-processes' && queue.effects[1]?.kind === 'stop-database')
      this.performNow(queue.effects[1], queue);
    this.queue = null;
    this.lastFailureMs = this.around.nowMs();
    this.feed({
      type: 'effect-failed',
      decisionId: queue.decisionId,
      effect: effect.kind,
      code: failure,
      message: failure,
    });
  }

  /** Does the work of an effect; what is returned tells this server about it: null, or why it failed. */
  private perform(effect: Effect, queue: Work): () => string | null {
    if (effect.kind === 'acquire-lease') {
      const witness = this.around.witness(this);
      if (witness === null || this.keeper === null) return () => 'witness-unreachable';
      const { keeper } = this;
      const granted = keeper.acquire(witness, effect.epoch, this.around.nowMs());
      return () => {
        this.feed({ type: 'witness-observed', witness: keeper.view(true) });
        this.feed({ type: 'lease-answered', nonce: effect.nonce, granted });
        return null;
      };
    }
    if (effect.kind !== 'request-consent') {
      const outcome = this.performNow(effect, queue);
      return () => outcome;
    }
    const other = this.around.reachable(this);
    if (other === null || !this.around.delivers()) return () => 'peer-unreachable';
    const request = { type: 'consent-requested', epoch: effect.epoch, nonce: effect.nonce } as const;
    other.received.push(request);
    const granted = other.feed(request).rule?.change?.includes('give-consent') ?? false;
    return () => {
      if (!this.around.delivers() || this.around.reachable(this) === null) return 'again';
      this.feed({ type: 'consent-answered', nonce: effect.nonce, granted });
      return null;
    };
  }

  private performNow(effect: Effect, queue: Work): string | null {
    const { database } = this;
    const other = this.around.reachable(this);
    switch (effect.kind) {
      case 'open-database':
      case 'promote-database':
        if (database.mode === 'none' && this.record.pairId !== null) return 'no-data';
        if (
          effect.kind === 'promote-database' &&
          effect.requiredLsn !== null &&
          parseLsn(this.lsn) < parseLsn(effect.requiredLsn)
        )
          return 'data-missing';
        if (!this.hasWarrant)
          this.brokenLaw ??= `the ${this.role} opens its database after a start without having asked`;
        // a manager that was restarted makes sure of what is open
        if (database.mode !== 'read-write') this.checkRight();
        if (this.role === 'primary' && this.record.pairId !== null && !this.record.complete)
          this.brokenLaw ??= 'the primary opens a database that is not whole';
        database.mode = 'read-write';
        database.isStandby = false;
        return null;
      case 'stop-database':
        if (database.mode === 'read-write' && this.streaming()) other?.receive(this);
        this.closeDatabase();
        queue.finalLsn = database.mode === 'none' ? null : this.lsn;
        return null;
      case 'follow-peer':
        if (other === null || !this.isPairedWith(other) || other.database.mode !== 'read-write')
          return 'peer-unreachable';
        if (!isPrefix(database.log, other.database.log))
          this.setAside.push(...database.log.filter((write) => !other.database.log.includes(write)));
        database.mode = 'standby';
        database.log = [...other.database.log];
        return null;
      case 'start-processes':
        this.processesRunning = true;
        return this.broken ? 'process-failed' : null;
      case 'stop-processes':
        if (this.unkillable) return 'process-not-stopped';
        this.processesRunning = false;
        return null;
      case 'await-data':
        return parseLsn(this.lsn) >= parseLsn(effect.lsn) ? null : 'data-missing';
      case 'request-consent':
      case 'acquire-lease':
        return null; // see perform
      case 'fence':
        this.processesRunning = false;
        this.closeDatabase();
        return null;
      case 'request-hand-over': {
        if (other === null || !this.around.delivers()) return 'peer-unreachable';
        other.received.push({ type: 'hand-over-requested', operationId: effect.operationId });
        const accepted =
          other.record.operation?.id === effect.operationId ||
          other.feed({ type: 'hand-over-requested', operationId: effect.operationId }).rule !== null;
        if (!this.around.delivers()) return 'again';
        return accepted ? null : 'refused';
      }
      case 'register-with-peer':
        return this.record.operation?.kind === 'replace-primary'
          ? this.takePlaceOfPrimary(other)
          : this.register(other, effect.operationId);
      case 'announce-dissolution':
        if (other !== null && this.around.delivers()) other.feed({ type: 'pair-dissolved', pairId: effect.pairId });
        return null;
      case 'retire-pairing':
        if (
          this.role === 'primary' &&
          this.pinned !== null &&
          other?.record.pairId === this.pinned.pairId &&
          this.around.delivers()
        )
          other.feed({ type: 'registration-abandoned' });
        if (this.role === 'secondary' && !this.record.complete) Object.assign(database, { mode: 'none', log: [] });
        this.pinned = null;
        return null;
    }
  }

  private register(other: SimulatedServer | null, operationId: string): string | null {
    const { pairId, failoverType } = this.record;
    if (other === null || pairId === null) return 'unreachable';
    if (other.record.pairId !== null || other.record.inFlight !== null) return 'already-paired';
    other.pinned = { pairId, certificate: this.certificate };
    if (other.feed({ type: 'registration-begun', operationId, pairId, failoverType }).rule === null) {
      other.pinned = null;
      return 'refused';
    }
    this.pinned = { pairId, certificate: other.certificate };
    return null;
  }

  /** The active secondary pins this server before its record says so; it may break off there, and its answer may be lost. */
  private takePlaceOfPrimary(other: SimulatedServer | null): string | null {
    const { pairId, failoverType } = this.record;
    if (other === null || pairId === null) return 'unreachable';
    const before = other.pinned;
    const isPinnedPrimary = before?.certificate === this.certificate;
    if (replacementRefusal(other.view, isPinnedPrimary) !== null) return 'not-replaceable';
    other.pinned = { pairId, certificate: this.certificate };
    if (!this.around.delivers()) return 'timeout';
    if (other.feed({ type: 'replacement-begun', pairId, failoverType, isPinnedPrimary }).rule === null) {
      other.pinned = before;
      return 'refused';
    }
    if (!this.around.delivers()) return 'timeout';
    this.pinned = { pairId, certificate: other.certificate };
    return null;
  }

  private closeDatabase(): void {
    const { database } = this;
    if (database.mode === 'none' || database.mode === 'stopped') return;
    database.isStandby = database.mode === 'standby';
    database.mode = 'stopped';
  }

  /** As an active server measures it: what its standby has not confirmed. */
  private lagOfStandby(): number | null {
    const other = this.around.reachable(this);
    if (this.database.mode !== 'read-write' || other === null || !this.streaming()) return null;
    return this.database.log.length - other.database.log.length;
  }

  /** With a witness nothing is opened that has no right to serve. */
  private checkRight(): void {
    const untilMs = rightToServeUntilMs(this.server);
    const nowMs = this.around.nowMs();
    if (nowMs - this.thawedAtMs < LOOK_AT_TIME_MS) return;
    if (untilMs !== null && this.record.maintenance === null && nowMs >= untilMs)
      this.brokenLaw ??= `the ${this.role} opens its database without a right to serve`;
  }

  /** Law 5, by what this server was really told; and consent leaves nothing behind that the giver has. */
  private checkTaking(
    { rule }: Decision,
    event: { type: string; acceptDataLoss?: boolean },
    before: ServerRecord,
  ): void {
    const own = lineageOf(before);
    if (rule?.change?.some((name) => name === 'take-role-alone')) {
      const missing = Number((this.told.get(own) ?? 0n) - BigInt(this.database.log.length));
      const allowed = event.type.startsWith('operator-') ? 0 : this.settings.maximumLagBytes;
      if (missing > allowed && event.acceptDataLoss !== true)
        this.brokenLaw ??= `the ${this.role} takes the role by ${rule.id} although it was told of ${missing} more writes`;
    }
    const giver = this.around.reachable(this);
    if (rule?.change?.some((name) => name === 'accept-consent') && giver?.database.mode === 'read-write')
      this.brokenLaw ??= `the ${this.role} takes the role by ${rule.id} while the database of the giver is open`;
    if (
      rule?.change?.some((name) => name === 'accept-consent') &&
      giver !== null &&
      before.operation?.kind !== 'forced-failback' && // the operator has accepted the loss
      this.database.mode !== 'none' &&
      lineageOf(giver.record) === own &&
      giver.record.complete &&
      !isPrefix(giver.database.log, this.database.log)
    )
      this.brokenLaw ??= `the ${this.role} takes the role by ${rule.id} without writes that the giver of the consent has`;
  }

  /** The stream brings everything that the source has. */
  receive(source: SimulatedServer): void {
    if (this.database.mode === 'standby' && isPrefix(this.database.log, source.database.log))
      this.database.log = [...source.database.log];
  }
}

function isPrefix(prefix: readonly string[], whole: readonly string[]): boolean {
  return prefix.length <= whole.length && prefix.every((write, index) => whole[index] === write);
}
