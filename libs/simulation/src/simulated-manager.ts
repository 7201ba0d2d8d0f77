import type { ConsentRequest, Decision, FailoverType, HaEvent, ServerRecord, Settings } from '@understudy/ha-core';
import {
  type DatabasePort,
  type EffectContext,
  EffectError,
  HaHost,
  type PeerPort,
  type ProcessesPort,
  type RegistrationPort,
  type RuntimePorts,
  UNTRACED,
} from '@understudy/ha-runtime';
import { Life } from './life.ts';
import type { DatabaseTask, DatabaseTaskResult } from './simulated-database.ts';
import { Unanswered } from './simulated-network.ts';
import type { SimulatedServer } from './simulated-server.ts';
import { SimulatedLeaseKeeper } from './simulated-witness.ts';

/** Away for longer means a full copy: the default of the product. */
export const RETENTION_SECONDS = 6 * 3600;

const TICK_MS = 1000;
const SUPERVISE_MS = 1000;
/** A task whose progress stands still for so long hangs. */
const STALL_LIMIT_MS = 120_000;
const PEER_PATIENCE_MS = 30_000;
const FOLLOW_PAUSE_MS = 500;
const RECEIVED_LOOK_MS = 100;
const AWAIT_STALL_MS = 10_000;
const ANSWER_LIMIT_MS = 2000;
const ATTEMPTS = 3;
const ATTEMPT_PAUSE_MS = 200;
const REGISTER_LIMIT_MS = 5000;
const NOT_READY_LIMIT_MS = 10_000;
const NOT_READY_PAUSE_MS = 500;

/** The journal could not be written: the process ends, and is started again. */
export class JournalFailed extends Error {}

interface FollowOptions {
  readonly forceCopy: boolean;
  readonly awaySeconds: number | null;
}

/** The peer says that it is of another pair. */
export class WrongPair extends Error {}

/**
 * One process of the health monitor: the production host and interpreter, on ports that reach the simulated server around it. What it
 * waits for when it ends never comes.
 */
export class SimulatedManager implements DatabasePort, ProcessesPort, PeerPort, RegistrationPort {
  readonly life: Life;
  readonly host: HaHost;
  private readonly keeper: SimulatedLeaseKeeper | null;
  /** The registration that this process has begun as the primary, until it is committed or abandoned. */
  private session: string | null = null;
  /** This process keeps the application running: it has started it, or has found it alive. */
  private keepsApplication: boolean;

  constructor(
    private readonly server: SimulatedServer,
    machine: Life,
    record: ServerRecord,
    settings: Settings,
    grantUntilMs: number,
  ) {
    const { around } = server;
    this.life = new Life(machine);
    this.keepsApplication = server.processesRunning;
    const clock = { nowMs: () => this.life.nowMs, unixMs: () => this.life.nowMs };
    const { witness } = settings;
    this.keeper =
      witness?.kind === 'nats'
        ? new SimulatedLeaseKeeper(
            server.role,
            witness.leaseMs,
            {
              life: this.life,
              witness: () => around.witness(server),
              messageMs: () => around.witnessMessageMs(),
            },
            () => this.host.view.record.pairId,
            (view) => this.tell({ type: 'witness-observed', witness: view }),
            (pairId) => this.tell({ type: 'pair-dissolved', pairId }),
          )
        : null;
    const ports: RuntimePorts = {
      clock,
      journal: { write: (written) => this.keep(written) },
      database: this,
      processes: this,
      peer: this,
      registration: this,
      witness: this.keeper,
      tracing: UNTRACED,
      announce: (decision, cause) => {
        if (decision.previousState === 'ha-initializing' && decision.server.record.pairId !== null) {
          if (decision.server.record.state !== 'ha-initializing') this.session = null;
        }
        server.announced(decision, cause);
      },
    };
    this.host = new HaHost(ports, record, settings, (error) => server.managerBroken(error), grantUntilMs);
    this.life.every(SUPERVISE_MS, SUPERVISE_MS, () => this.supervise());
    const phase = () => around.random.below(TICK_MS);
    this.life.every(TICK_MS, phase(), () => this.tell({ type: 'tick', unixMs: this.life.nowMs }));
    if (witness?.kind === 'nats')
      this.life.every(around.renewMs, phase() % around.renewMs, () => this.keeper?.look(this.host.view.record));
    if (witness?.kind === 'gateway')
      this.life.every(TICK_MS, phase(), () =>
        this.tell({
          type: 'witness-observed',
          witness: {
            reachable: around.seesWitness(server),
            leaseUntilMs: null,
            holder: null,
            takeableAtMs: null,
          },
        }),
      );
  }

  /** Tells the state machine of something, and does not wait for what it decides. */
  tell(event: EventWithoutTime): void {
    // a manager that has stopped deciding is being replaced
    void this.submit(event).catch(() => undefined);
  }

  /** Resolves with the decision. What comes while the process stands still is taken in when it goes on, and counts from then. */
  submit(event: EventWithoutTime): Promise<Decision> {
    const decided = Promise.withResolvers<Decision>();
    this.life.now(() => {
      this.host.submit({ ...event, atMs: this.life.nowMs } as HaEvent).then(decided.resolve, decided.reject);
    });
    return decided.promise;
  }

  /** It knows of the application: it would notice its end. */
  get isSupervising(): boolean {
    return this.keepsApplication;
  }

  /** The process is killed. */
  end(): void {
    this.life.end();
  }

  openActive(context: EffectContext): Promise<void> {
    this.server.asksToOpen();
    return this.perform(context, { kind: 'start-active' }).then(() => undefined);
  }

  startStandby(context: EffectContext): Promise<void> {
    return this.perform(context, { kind: 'start-standby' }).then(() => undefined);
  }

  promote(context: EffectContext, requiredLsn: string | null): Promise<void> {
    this.server.asksToOpen();
    return this.perform(context, { kind: 'promote', requiredLsn }).then(() => undefined);
  }

  stop(context: EffectContext): Promise<DatabaseTaskResult> {
    return this.perform(context, { kind: 'stop' });
  }

  async fence(context: EffectContext): Promise<void> {
    await this.perform(context, { kind: 'fence' });
  }

  async followPeer(context: EffectContext, { forceCopy: isForced, awaySeconds }: FollowOptions): Promise<void> {
    const forceCopy = isForced || (awaySeconds !== null && awaySeconds > RETENTION_SECONDS);
    const untilMs = this.life.nowMs + PEER_PATIENCE_MS;
    for (let attempt = 0; ; attempt++) {
      try {
        await this.perform({ ...context, taskId: `${context.taskId}.${attempt}` }, { kind: 'follow-peer', forceCopy });
        return;
      } catch (error) {
        const isWorthRepeating = error instanceof EffectError && error.code === 'peer-unreachable';
        if (!isWorthRepeating || context.signal.aborted || this.life.nowMs > untilMs) throw error;
        await this.life.sleep(FOLLOW_PAUSE_MS);
      }
    }
  }

  async awaitReceived({ signal }: EffectContext, lsn: string): Promise<void> {
    const { database } = this.server;
    let received = database.lsn;
    for (let grewAtMs = this.life.nowMs; !signal.aborted; await this.life.sleep(RECEIVED_LOOK_MS)) {
      if (database.lsn !== received) grewAtMs = this.life.nowMs;
      received = database.lsn;
      if (this.server.hasReceived(lsn)) return;
      if (this.life.nowMs - grewAtMs > AWAIT_STALL_MS)
        throw new EffectError('data-missing', `ends at ${lsn}, received up to ${received}`);
    }
    throw superseded();
  }

  async startAll(_epoch: number, signal: AbortSignal): Promise<void> {
    this.keepsApplication = true;
    await this.step('start-processes', () => this.server.startProcesses(), signal);
  }

  async stopAll(): Promise<void> {
    this.keepsApplication = false;
    await this.step('stop-processes', () => this.server.stopProcesses());
  }

  async killAll(): Promise<void> {
    this.keepsApplication = false;
    await this.step('fence', () => this.server.killProcesses());
  }

  async requestConsent({ epoch, nonce, knownLineage, knownFinalLsn }: ConsentRequest, signal: AbortSignal) {
    const pairId = this.host.view.record.pairId ?? '';
    const request = { type: 'consent-requested', epoch, nonce, knownLineage, knownFinalLsn } as const;
    const granted = await this.ask(signal, () => this.server.other.requested(pairId, request));
    return { granted, nonce };
  }

  async requestHandOver({ operationId }: { operationId: string }, signal: AbortSignal): Promise<void> {
    const pairId = this.host.view.record.pairId ?? '';
    const request = { type: 'hand-over-requested', operationId } as const;
    const accepted = await this.ask(signal, () => this.server.other.requested(pairId, request));
    if (!accepted) throw new EffectError('refused', 'the peer refuses the hand-over');
  }

  async announceDissolution({ pairId }: { pairId: string }, signal: AbortSignal): Promise<void> {
    await this.ask(signal, () => this.server.other.dissolved(pairId)).catch(() => undefined);
  }

  async register({ signal }: EffectContext): Promise<void> {
    const { pairId, failoverType, operation } = this.host.view.record;
    if (pairId === null) throw new EffectError('interrupted', 'there is no pair to register');
    await this.step('register-with-peer', () => undefined, signal);
    for (const endMs = this.life.nowMs + NOT_READY_LIMIT_MS; ; await this.life.sleep(NOT_READY_PAUSE_MS)) {
      const answer = await this.tryToRegister(pairId, failoverType, operation?.kind === 'replace-primary');
      if (answer === 'accepted') break;
      if (answer !== 'not-ready' || signal.aborted || this.life.nowMs > endMs)
        throw new EffectError(answer, `the secondary does not take part: ${answer}`);
    }
    this.session = pairId;
    this.server.pinPeer(pairId);
  }

  async retire(context: EffectContext, discardCopy: boolean): Promise<void> {
    const { server, session } = this;
    await this.step('retire-pairing', () => undefined, context.signal);
    this.session = null;
    if (session !== null && server.role === 'primary')
      await this.exchange('https', REGISTER_LIMIT_MS, () => server.other.abandoned(session)).catch(() => undefined);
    if (server.pin === null) return;
    if (server.role === 'secondary' && discardCopy)
      await this.perform(context, { kind: 'discard-copy' }).catch((error: unknown) => {
        if (context.signal.aborted) throw error;
      });
    server.pinPeer(null);
  }

  /** Starts the application again where it has died, and says when that does not help. */
  private supervise(): void {
    const { server } = this;
    if (!this.keepsApplication || server.processesRunning || server.isKeptClosed) return;
    if (server.broken) this.tell({ type: 'process-failed', process: 'application' });
    else server.processesRunning = true;
  }

  private tryToRegister(pairId: string, failoverType: FailoverType, replacesPrimary: boolean): Promise<string> {
    const { other } = this.server;
    const ask = () =>
      replacesPrimary ? other.asksToReplace(pairId, failoverType) : other.asksToRegister(pairId, failoverType);
    return this.exchange('https', REGISTER_LIMIT_MS, ask).catch(() => 'unreachable');
  }

  /** The record is durable at the end of that time at the latest; a crash in between leaves the one or the other. */
  private async keep(record: ServerRecord): Promise<void> {
    const { server, life } = this;
    const ms = server.around.random.below(server.around.adversity.journalMs);
    if (ms > 0 && server.around.random.chance(0.5)) server.disk = record;
    if (ms > 0) await life.sleep(ms);
    while (server.isDiskStuck) await life.sleep(RECEIVED_LOOK_MS);
    if (server.failsToKeep()) throw new JournalFailed('the journal cannot be written');
    server.disk = record;
  }

  /** Asks db-replication until the task has ended. */
  private async perform({ taskId, epoch, signal }: EffectContext, task: DatabaseTask): Promise<DatabaseTaskResult> {
    if (signal.aborted) throw superseded();
    const { life } = this;
    const asked = this.server.database.perform(taskId, epoch, task);
    const ending = Promise.withResolvers<DatabaseTaskResult>();
    const stop = () => ending.reject(superseded());
    signal.addEventListener('abort', stop, { once: true });
    life.after(STALL_LIMIT_MS, () => ending.reject(new EffectError('stalled', `${task.kind} makes no progress`)));
    life.hear(asked).then(ending.resolve, ending.reject);
    return ending.promise.finally(() => signal.removeEventListener('abort', stop));
  }

  /** A step that is no matter of the database. */
  private async step(
    kind: 'start-processes' | 'stop-processes' | 'fence' | 'register-with-peer' | 'retire-pairing',
    work: () => void,
    signal?: AbortSignal,
  ): Promise<void> {
    const { ms, worksAtOnce, failure } = this.server.around.courseOf(kind);
    const attempt = () => {
      if (failure === null || failure.hasWorked) work();
    };
    if (worksAtOnce) attempt();
    if (ms > 0) await this.life.sleep(ms);
    if (signal?.aborted) throw superseded();
    if (!worksAtOnce) attempt();
    if (failure !== null) throw new EffectError(failure.code, 'injected');
  }

  /** A request that was not answered is repeated: the answer is the same. */
  private async ask<T>(signal: AbortSignal, answer: () => Promise<T>): Promise<T> {
    for (let attempt = 1; ; attempt++) {
      try {
        return await this.exchange('pair-link', ANSWER_LIMIT_MS, answer);
      } catch (error) {
        if (!(error instanceof Unanswered) && !(error instanceof WrongPair)) throw error;
        if (signal.aborted || attempt === ATTEMPTS) throw new EffectError('peer-unreachable', error.message);
        await this.life.sleep(ATTEMPT_PAUSE_MS);
      }
    }
  }

  private exchange<T>(channel: 'pair-link' | 'https', timeoutMs: number, answer: () => Promise<T>): Promise<T> {
    const { server } = this;
    const way = { from: server, to: server.other, channel, asking: this.life };
    return server.around.network.request(way, timeoutMs, answer);
  }
}

/** An event as it is told: when, the server knows. */
export type EventWithoutTime = HaEvent extends infer E ? (E extends HaEvent ? Omit<E, 'atMs'> : never) : never;

function superseded(): EffectError {
  return new EffectError('superseded', 'a later decision came');
}
