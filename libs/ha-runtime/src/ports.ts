import type { ConsentRequest, Decision, Effect, EffectKind, HaEvent, Lsn, ServerRecord } from '@understudy/ha-core';

/** A failure of an effect that the state machine may decide on. */
export class EffectError extends Error {
  constructor(
    readonly code: string,
    message: string,
  ) {
    super(message);
  }
}

/** Monotonic and wall clock of this server, milliseconds. */
export interface RuntimeClock {
  nowMs(): number;
  unixMs(): number;
}

/** The durable record. `write` returns only when the record would survive a power loss. */
export interface JournalPort {
  write(record: ServerRecord): Promise<void>;
}

/** Progress of the effects in flight, for people. */
export interface EffectProgress {
  readonly effect: EffectKind;
  readonly step: string;
  readonly percent: number | null;
}

/** Work on this server's PostgreSQL. Every call rejects with an EffectError, also on a lack of progress. */
export interface DatabasePort {
  openActive(context: EffectContext): Promise<void>;
  startStandby(context: EffectContext): Promise<void>;
  promote(context: EffectContext, requiredLsn: Lsn | null): Promise<void>;
  /** Resolves with where the data end, null when that is not known. */
  stop(context: EffectContext): Promise<{ readonly lsn: Lsn | null; readonly hasDatabase: boolean }>;
  /** Stops it immediately, without waiting for anything; crash recovery follows at the next start. */
  fence(context: EffectContext): Promise<void>;
  followPeer(context: EffectContext, options: { forceCopy: boolean; awaySeconds: number | null }): Promise<void>;
  awaitReceived(context: EffectContext, lsn: Lsn): Promise<void>;
}

/** The application's processes. */
export interface ProcessesPort {
  /** Gives up waiting, and starts nothing more, when the signal is aborted. */
  startAll(epoch: number, signal: AbortSignal): Promise<void>;
  stopAll(): Promise<void>;
  /** Kills everything that may only run on the active server, without grace. */
  killAll(): Promise<void>;
}

/** The third vote that keeps a lease, where there is one. */
export interface WitnessPort {
  /** Tries to get the lease under that epoch. False: another server has it, or has had it later. Rejects when it cannot be reached. */
  acquire(request: { epoch: number }, signal: AbortSignal): Promise<boolean>;
}

/** Requests to the peer's state machine. */
export interface PeerPort {
  /** `reason`: why it refuses. */
  requestConsent(
    request: ConsentRequest,
    signal: AbortSignal,
  ): Promise<{ granted: boolean; nonce: string; reason?: string }>;
  requestHandOver(request: { operationId: string; epoch: number }, signal: AbortSignal): Promise<void>;
  /** Tells it that the pair is dissolved. Never rejects: a peer that cannot be told hears of it when it asks. */
  announceDissolution(request: { pairId: string }, signal: AbortSignal): Promise<void>;
}

/** The handshake of registration, and its undoing. */
export interface RegistrationPort {
  register(context: EffectContext, operationId: string): Promise<void>;
  /** `discardCopy`: what a secondary has copied was never whole. */
  retire(context: EffectContext, discardCopy: boolean): Promise<void>;
}

/** What an effect is performed with. */
export interface EffectContext {
  /** Names this effect of this decision: the same after a crash. */
  readonly taskId: string;
  readonly epoch: number;
  /** Aborted when a later decision supersedes this one. */
  readonly signal: AbortSignal;
  readonly progress: (step: string, percent: number | null) => void;
}

/**
 * Follows decisions and their effects in a trace. Both calls only run what they are given, at once, and settle as it does: nothing of a
 * decision ever waits for its trace.
 */
export interface TracingPort {
  /** `carryOut`: makes the record durable, announces the decision and has its effects begun. */
  decision<T>(decision: Decision, cause: HaEvent, carryOut: () => Promise<T>): Promise<T>;
  /** `taskId`: names this effect of its decision. Rejected by `perform`: it failed, or a later decision has superseded it. */
  effect<T>(effect: Effect, taskId: string, perform: () => Promise<T>): Promise<T>;
}

/** No trace. */
export const UNTRACED: TracingPort = {
  decision: (_decision, _cause, carryOut) => carryOut(),
  effect: (_effect, _taskId, perform) => perform(),
};

/** Everything the host needs of the world. */
export interface RuntimePorts {
  readonly clock: RuntimeClock;
  readonly journal: JournalPort;
  readonly database: DatabasePort;
  readonly processes: ProcessesPort;
  readonly peer: PeerPort;
  readonly registration: RegistrationPort;
  readonly witness: WitnessPort | null;
  readonly tracing: TracingPort;
  /** Told of every decision once its record is durable, and of every change of the record. Must not throw. */
  announce(decision: Decision, cause: HaEvent): void;
}
