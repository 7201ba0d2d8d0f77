import type { FailoverType } from '../real-pair/real-pair.ts';
import type { ProcedureId, StateLabel } from './state-sequences.ts';

/** An operator's order, as the server that it is given to takes it. */
export type Order =
  | { readonly kind: 'register' | 'forced-failover' }
  /** Given to a new machine: it takes the place of the lost primary, whose secondary is active. */
  | { readonly kind: 'replace-primary' }
  | { readonly kind: 'failover' | 'activate-alone'; readonly acceptDataLoss: boolean }
  | { readonly kind: 'failback'; readonly force?: boolean; readonly acceptDataLoss?: boolean }
  /** `confirmed`: the operator has said that the lost peer will not serve. By REST, as the page does it, unless `onCommandLine`. */
  | { readonly kind: 'remove'; readonly confirmed?: boolean; readonly onCommandLine?: boolean };

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
  /** The product is started again after stop(), under another name if one is given. */
  start(name?: string): Promise<void>;
  /** The product is taken off this server with all that it has there, and installed and started anew. */
  reinstall(): Promise<void>;
  /** The critical process ends and does not start again, until mendProcess(). */
  failProcess(): Promise<void>;
  mendProcess(): Promise<void>;
  /** PostgreSQL does not answer any more, until mendDatabase(). */
  failDatabase(): Promise<void>;
  mendDatabase(): Promise<void>;
  /** The stream brings this standby nothing any more, although it stays connected for a while, until freeStream() or powerOff(). */
  stallStream(): Promise<void>;
  freeStream(): Promise<void>;
  /** The database of this standby loses its stream and gets no other, although the servers hear each other, until healStream(). */
  cutStream(): Promise<void>;
  healStream(): Promise<void>;
  /** PostgreSQL cannot end its recovery when it is promoted here, until freePromotion(). */
  holdPromotion(): Promise<void>;
  freePromotion(): Promise<void>;
  /** Whenever a full copy is made here it fails, until endCopyFailures(). */
  failCopies(): Promise<void>;
  endCopyFailures(): Promise<void>;
  /** The product is stopped: the database as it is now is kept as a backup. */
  backUp(): Promise<void>;
  /** The product is stopped: the backup takes the place of the database. */
  restore(): Promise<void>;

  /** Waits until the server enters the state after the one waited for last; states of short life are not missed. 60 s unless told. */
  reaches(state: StateLabel, withinSeconds?: number): Promise<void>;
  /** Waits until this server serves: its database can be written to. */
  serves(): Promise<void>;
  /** Waits until this server has missed its peer's heartbeats. */
  missesPeer(): Promise<void>;
  /** Waits until this server has decided by that rule since mark(). */
  decidesBy(rule: string): Promise<void>;
  /** Waits until this server, which is not paired, can be registered. */
  canBePaired(): Promise<void>;
  /** Waits until the order would be taken. */
  offers(kind: Order['kind']): Promise<void>;
  /** Gives the order and waits until it is carried out. Rejects with the reason when it is refused or does not end well. */
  order(order: Order): Promise<void>;
  /** Gives the order, and does not wait for what comes of it. Rejects when it is refused. */
  begin(order: Order): Promise<void>;
  /** Gives an order that has to be refused, and resolves with the reason. */
  refusal(order: Order): Promise<string>;

  /** Whether the application runs here at this moment. */
  runsApplication(): Promise<boolean>;
  /** A client writes a row here; resolves when it is acknowledged. */
  write(): Promise<Row>;
  /** A client writes more here than a standby, whose stream is stalled, may lack at a hand-over; resolves when the server knows that. */
  writeMuch(): Promise<void>;
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
  /** The primary's machine, switched off before, is lost; a new one with an empty disk is installed and started: `primary` from now on. */
  bringNewPrimary(): Promise<void>;
  startClient(): Promise<ClientDriver>;
  /** Waits for as long as a server may be away without needing a full copy, and a little longer. */
  retentionPasses(): Promise<void>;
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
  /** A few seconds of absence count as too long, and a mebibyte as much that a standby lacks. */
  readonly lowLimits?: boolean;
  /** Both servers serve for a while, as the specification has it for a cut link. */
  readonly bothActive?: boolean;
  readonly tell: (pair: PairDriver) => Promise<void>;
}
