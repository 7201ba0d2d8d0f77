import type { Candidate, MeasurementOrder, Measurements } from '@understudy/contracts';

/** What an operator says of a secondary that is not registered yet. */
export interface CandidateOrder {
  readonly secondaryAddress: string;
  readonly authenticationKey: string;
}

/** The other server: the pinned peer (`ticket` null) or, before registration, one that has proven the key and is asked with a ticket. */
export interface KnownCounterpart {
  readonly server: Candidate;
  readonly ticket: string | null;
}

/** There is none, or it gives no answer (`isSilent`); the reason is for people. */
export interface MissingCounterpart {
  readonly missing: string;
  readonly isSilent: boolean;
}

export type Counterpart = KnownCounterpart | MissingCounterpart;

/** Finds the other server and asks it. */
export interface Counterparts {
  /** The pinned peer; missing where HA is not configured. */
  pinned(): Promise<Counterpart>;
  /** Proves the key to a secondary, and has it prove the same. Rejects with what is wrong unless it is merely silent. */
  meet(order: CandidateOrder): Promise<Counterpart>;
  /** What it does and measures by that order. Rejects with the reason when it is not reached, refuses, or does not answer within `limitMs`. */
  measure(counterpart: KnownCounterpart, order: MeasurementOrder, limitMs: number): Promise<Measurements>;
}

const NOT_YET = 'possible when the servers are registered as a pair';

/** The other server, or throws why there is none. */
export function requireServer(counterpart: Counterpart): Candidate {
  if ('missing' in counterpart) throw new Error(counterpart.missing);
  return counterpart.server;
}

/** The pinned peer, or throws why there is none. */
export function requirePeer(counterpart: Counterpart): Candidate {
  const server = requireServer(counterpart);
  if ('ticket' in counterpart && counterpart.ticket !== null) throw new Error(NOT_YET);
  return server;
}

/** Whether the other server is one that is not registered yet. */
export function isCandidate(counterpart: Counterpart): boolean {
  return 'ticket' in counterpart && counterpart.ticket !== null;
}

/** Whether the other server is the pinned peer. */
export function isPeer(counterpart: Counterpart): boolean {
  return 'ticket' in counterpart && counterpart.ticket === null;
}
