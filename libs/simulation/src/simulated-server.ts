import {
  atStart,
  type Decision,
  decide,
  type Effect,
  formatLsn,
  type HaEvent,
  isServing,
  lineageOf,
  newRecord,
  type PeerView,
  parseLsn,
  type Server,
  type ServerRecord,
  type ServerRole,
} from '@understudy/ha-core';

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
  /** A message to the other server and its answer; false when one of them is lost. */
  delivers(): boolean;
  /** Whether an effect fails now. */
  effectFails(effect: Effect): boolean;
  nowMs(): number;
}

/** One server: the real state machine on a simulated database, disk and clock. */
export class SimulatedServer {
  up = true;
  processesRunning = false;
  readonly database: SimulatedDatabase;
  readonly history: string[] = [];
  readonly rules: string[] = [];
  /** Writes that were thrown away here by following the peer after a divergence. */
  readonly setAside: string[] = [];
  lastHeardMs = 0;
  private server: Server;
  private disk: ServerRecord;
  private queue: { decisionId: string; effects: Effect[]; finalLsn?: string | null } | null = null;
  private runs = 0;

  constructor(
    readonly role: ServerRole,
    private readonly around: Surroundings,
    private readonly settings = { maximumLagBytes: 1_000_000, minimumBetweenFailoversMs: 0 },
  ) {
    this.disk = newRecord(role, 'none');
    this.database = { mode: role === 'primary' ? 'stopped' : 'none', isStandby: false, log: [] };
    this.server = atStart(this.disk, settings, 0);
  }

  get record(): ServerRecord {
    return this.server.record;
  }

  get view(): Server {
    return this.server;
  }

  get serving(): boolean {
    return this.up && isServing(this.record) && this.database.mode === 'read-write';
  }

  get lsn(): string {
    return formatLsn(BigInt(this.database.log.length));
  }

  /** Power on, or only the manager again. */
  boot(sameRun: boolean): void {
    this.up = true;
    if (!sameRun) this.runs += 1;
    this.server = atStart(this.disk, this.settings, this.around.nowMs());
    this.queue = null;
    this.lastHeardMs = this.around.nowMs();
    this.feed({ type: 'boot', runId: `${this.role}-${this.runs}`, sameRun });
  }

  /** Power off at once: nothing says good-bye. */
  crash(): void {
    this.up = false;
    this.processesRunning = false;
    this.queue = null;
    if (this.database.mode === 'read-write' || this.database.mode === 'standby') {
      this.database.isStandby = this.database.mode === 'standby';
      this.database.mode = 'stopped';
    }
  }

  /** An event reaches the state machine. */
  feed(event: HaEvent extends infer E ? (E extends HaEvent ? Omit<E, 'atMs'> : never) : never): Decision {
    const before = this.record.state;
    const decision = decide(this.server, { ...event, atMs: this.around.nowMs() } as HaEvent);
    this.server = decision.server;
    this.disk = decision.server.record;
    if (decision.rule !== null) this.rules.push(decision.rule.id);
    if (this.record.state !== before) this.history.push(this.record.state);
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
      pairId: record.pairId,
      role: this.role,
      state: record.state,
      runId: record.runId,
      epoch: record.epoch,
      hold: record.hold,
      lineage: lineageOf(record),
      serving: isServing(record),
      complete: record.complete,
      finalLsn: record.finalLsn,
      lsn: this.database.mode === 'none' ? null : this.lsn,
      streaming: this.streaming(),
      databaseUsable: this.database.mode === 'read-write' || this.database.mode === 'standby',
      processesOk: !isServing(record) || this.processesRunning,
      operation: record.operation && { id: record.operation.id, kind: record.operation.kind },
      failoverType: record.failoverType,
    };
  }

  /** The databases stream: one writes, the other follows it and has no write of its own. */
  streaming(): boolean {
    const other = this.around.reachable(this);
    if (other === null) return false;
    const [source, standby] = this.database.mode === 'read-write' ? [this, other] : [other, this];
    return (
      source.database.mode === 'read-write' &&
      standby.database.mode === 'standby' &&
      isPrefix(standby.database.log, source.database.log)
    );
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
        lsn: mode === 'none' ? null : this.lsn,
        lagBytes: 0,
        restartsExhausted: false,
      },
    });
  }

  /** Performs the next effect in flight. */
  work(): void {
    const { queue } = this;
    if (queue === null) return;
    const effect = queue.effects.shift();
    if (effect === undefined) {
      this.queue = null;
      this.feed({
        type: 'effects-completed',
        decisionId: queue.decisionId,
        results: queue.finalLsn === undefined ? {} : { finalLsn: queue.finalLsn },
      });
      return;
    }
    const failure = this.around.effectFails(effect) ? 'injected' : this.perform(effect, queue);
    if (failure === 'again') queue.effects.unshift(effect);
    else if (failure !== null && this.queue === queue) {
      this.queue = null;
      this.feed({
        type: 'effect-failed',
        decisionId: queue.decisionId,
        effect: effect.kind,
        code: failure,
        message: failure,
      });
    }
  }

  private perform(effect: Effect, queue: { finalLsn?: string | null }): string | null {
    const { database } = this;
    const other = this.around.reachable(this);
    switch (effect.kind) {
      case 'open-database':
      case 'promote-database':
        if (database.mode === 'none') return 'no-data';
        if (
          effect.kind === 'promote-database' &&
          effect.requiredLsn !== null &&
          parseLsn(this.lsn) < parseLsn(effect.requiredLsn)
        )
          return 'data-missing';
        database.mode = 'read-write';
        database.isStandby = false;
        return null;
      case 'stop-database':
        if (database.mode === 'read-write' && this.streaming()) other?.receive(this);
        if (database.mode !== 'none') {
          database.isStandby = database.mode === 'stopped' ? database.isStandby : database.mode === 'standby';
          database.mode = 'stopped';
        }
        queue.finalLsn = database.mode === 'none' ? null : this.lsn;
        return null;
      case 'follow-peer':
        if (other === null || other.database.mode !== 'read-write') return 'peer-unreachable';
        if (!isPrefix(database.log, other.database.log))
          this.setAside.push(...database.log.filter((write) => !other.database.log.includes(write)));
        database.mode = 'standby';
        database.log = [...other.database.log];
        return null;
      case 'start-processes':
        this.processesRunning = true;
        return null;
      case 'stop-processes':
        this.processesRunning = false;
        return null;
      case 'await-data':
        return parseLsn(this.lsn) >= parseLsn(effect.lsn) ? null : 'data-missing';
      case 'request-consent': {
        if (other === null || !this.around.delivers()) return 'peer-unreachable';
        const granted =
          other
            .feed({ type: 'consent-requested', epoch: effect.epoch, nonce: effect.nonce })
            .rule?.change?.includes('give-consent') ?? false;
        if (!this.around.delivers()) return 'again';
        this.feed({ type: 'consent-answered', nonce: effect.nonce, granted });
        return null;
      }
      case 'request-hand-over': {
        if (other === null || !this.around.delivers()) return 'peer-unreachable';
        const accepted =
          other.record.operation?.id === effect.operationId ||
          other.feed({ type: 'hand-over-requested', operationId: effect.operationId }).rule !== null;
        if (!this.around.delivers()) return 'again';
        return accepted ? null : 'refused';
      }
      case 'register-with-peer': {
        if (other === null || this.record.pairId === null) return 'unreachable';
        const begun = other.feed({
          type: 'registration-begun',
          operationId: effect.operationId,
          pairId: this.record.pairId,
          failoverType: this.record.failoverType,
        });
        return begun.rule === null ? 'already-paired' : null;
      }
      case 'retire-pairing':
        if (this.role === 'secondary') Object.assign(database, { mode: 'none', log: [] });
        return null;
    }
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
