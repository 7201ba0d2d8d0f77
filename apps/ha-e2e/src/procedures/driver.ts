import type { FailoverType } from '../real-pair/real-pair.ts';
import type { ProcedureId, StateLabel } from './state-sequences.ts';

/** An operator's order, as the server that it is given to takes it. */
export type Order =
  | { readonly kind: 'register' | 'forced-failover' }
  | { readonly kind: 'failover' | 'activate-alone'; readonly acceptDataLoss: boolean }
  | { readonly kind: 'failback'; readonly force?: boolean; readonly acceptDataLoss?: boolean }
  /** `confirmed`: the operator has said that the lost peer will not serve. */
  | { readonly kind: 'remove'; readonly confirmed?: boolean };

/** A row that a client wrote on one server, whatever became of it since. */
export type Row = object;

/** One server of a pair, as a telling sees it. Every wait rejects when its limit passes. */
export interface ServerDriver {
  /** Power lost: nothing says good-bye. The disk stays. */
  powerOff(): Promise<void>;
  /** Power on, and the product started. Does not wait for anything. */
  powerOn(): Promise<void>;
  /** The product is stopped on purpose; resolves when all of it has ended. The machine stays on. */
  stop(): Promise<void>;
  /** The product is started again after stop(). */
  start(): Promise<void>;
  /** The critical process ends and does not start again, until mendProcess(). */
  failProcess(): Promise<void>;
  mendProcess(): Promise<void>;

  /** Waits until the server enters the state after the one waited for last; states of short life are not missed. 60 s unless told. */
  reaches(state: StateLabel, withinSeconds?: number): Promise<void>;
  /** Waits until the order would be taken. */
  offers(kind: Order['kind']): Promise<void>;
  /** Gives the order and waits until it is carried out. Rejects with the reason when it is refused or does not end well. */
  order(order: Order): Promise<void>;
  /** Gives an order that has to be refused, and resolves with the reason. */
  refusal(order: Order): Promise<string>;

  /** Whether the application runs here at this moment. */
  runsApplication(): Promise<boolean>;
  /** A client writes a row here; resolves when it is acknowledged. */
  write(): Promise<Row>;
  /** Whether the row is in this server's database. */
  holds(row: Row): Promise<boolean>;
  /** Whether this server has set something aside since mark(), and it is still there. */
  hasSetAside(): Promise<boolean>;
}

/** A client that writes all the time to whoever serves. */
export interface ClientDriver {
  /** Waits until its writes are acknowledged. */
  isServed(): Promise<void>;
  /** Ends it, and resolves with the number of its acknowledged rows that the server does not have. */
  lostOn(server: ServerDriver): Promise<number>;
}

/** A pair of servers that a telling is played on, simulated or real. */
export interface PairDriver {
  readonly primary: ServerDriver;
  readonly secondary: ServerDriver;
  /** Nothing goes from one server to the other any more, in both directions. */
  cutLink(): Promise<void>;
  healLink(): Promise<void>;
  /** Waits for Primary Active / Secondary Syncing, streaming, and ready to switch. */
  inSync(): Promise<void>;
  /** Waits for Primary Syncing / Secondary Active, streaming, and ready to switch. */
  inSyncSwapped(): Promise<void>;
  startClient(): Promise<ClientDriver>;
  /** Makes both servers' present states the beginning of what conformsTo() and reaches() look at. */
  mark(): Promise<void>;
  /** Rejects unless the states since mark() are those of the procedure. */
  conformsTo(procedure: ProcedureId): Promise<void>;
}

/** Procedures that follow one another in the life of one pair, which begins in sync, the primary active. */
export interface Telling {
  readonly title: string;
  readonly procedures: readonly ProcedureId[];
  readonly failoverType: FailoverType;
  /** Both servers serve for a while, as the specification has it for a cut link. */
  readonly bothActive?: boolean;
  readonly tell: (pair: PairDriver) => Promise<void>;
}
