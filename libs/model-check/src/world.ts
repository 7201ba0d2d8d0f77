import type { Effect, HaEvent, Lsn, PeerView, Server, ServerRole } from '@understudy/ha-core';

/** One of the two servers: 0 is the primary, 1 the secondary. */
export type Side = 0 | 1;

/** Both servers, in order. */
export const SIDES: readonly Side[] = [0, 1];

/** The home role of a side. */
export const ROLES: readonly [ServerRole, ServerRole] = ['primary', 'secondary'];

/** Both with one of them replaced. */
export function withSide<T>([first, second]: readonly [T, T], side: Side, value: T): readonly [T, T] {
  return side === 0 ? [value, second] : [first, value];
}

/** The other server. */
export function other(side: Side): Side {
  return side === 0 ? 1 : 0;
}

/** A part of a world that is kept once, however many worlds have it. Equal content is the same object. */
export interface Ref<T> {
  readonly id: number;
  readonly value: T;
  /** Bit e is set when epoch e occurs in the value. */
  readonly epochs: number;
  /** The lowest position in a log that the value speaks of; Infinity when none. */
  readonly lowestLsn: number;
}

/** How far a server has got with the effects in flight of its record. */
export interface Progress {
  /** The next effect to perform; as many as there are effects: all are done, the outcome is not reported yet. */
  readonly index: number;
  readonly finalLsn?: Lsn | null;
  /** The request of the effect at `index` has been sent. */
  readonly asked: boolean;
  /** What the witness has answered to it, and how long ago the lease was asked for. The answer has not arrived yet. */
  readonly lease?: { readonly granted: boolean; readonly ageMs: number };
}

/** What is physically true of one server, whatever its state machine knows. */
export interface Body {
  /** `stands-still`: the manager does nothing, and will go on as if no time had passed. */
  readonly power: 'on' | 'stands-still' | 'manager-down' | 'off';
  readonly mode: 'none' | 'stopped' | 'read-write' | 'standby';
  /** A stopped database starts as a standby. */
  readonly isStandby: boolean;
  /** One entry per write: the epoch of the server that took it. Entries that both servers share read 0. */
  readonly log: readonly number[];
  /** The database does not answer and does not stream. */
  readonly hung: boolean;
  readonly processes: boolean;
  readonly progress: Progress | null;
  /** Law 6: since its start this server has consulted its peer or an operator, or has searched long enough. */
  readonly warrant: boolean;
  /** The last attempt to stop something failed: what runs may run on until the next attempt. */
  readonly stopFailed: boolean;
  /** Law 5: the operator has accepted, with the order of the operation under way, that data may be lost. */
  readonly lossAccepted: boolean;
  /** Law 5: positions that this server has been told of and does not have, as [lineage, length, whether its owner served]. */
  readonly told: readonly (readonly [number, number])[];
  /** So many milliseconds until the runner closes this server, as its manager has noted; null: nothing limits it. */
  readonly rightMs: number | null;
  /** The runner has closed it, and db-replication opens it again once the manager notes a right. */
  readonly closedByRunner: boolean;
}

/** A message under way. Consent messages carry the epoch in place of the nonce: every request has its own. */
export type Message = { readonly from: Side } & (
  | {
      readonly kind: 'consent-request';
      readonly pairId: string | null;
      readonly epoch: number;
      readonly knownLineage: number;
      readonly knownFinalLsn: string | null;
    }
  | { readonly kind: 'consent-answer'; readonly epoch: number; readonly granted: boolean }
  | { readonly kind: 'hand-over-request'; readonly pairId: string | null; readonly operationId: string }
  | { readonly kind: 'hand-over-answer'; readonly operationId: string; readonly accepted: boolean }
  | { readonly kind: 'status'; readonly status: PeerView }
);

/** The third party, where there is one: a lease, or a router that answers. */
export interface Witness {
  readonly lease: { readonly role: ServerRole; readonly epoch: number } | null;
  /** Whether what the primary (0), the secondary (1) saw last is what there is: nobody has renewed the lease since. */
  readonly isSeen: readonly [boolean, boolean];
  /** Who cannot reach it. */
  readonly cut: readonly [boolean, boolean];
}

/** The link between the servers. */
export interface Net {
  /** Nothing that the primary (0), the secondary (1) sends arrives. */
  readonly cut: readonly [boolean, boolean];
  /** Under way, in no order: any may arrive next. */
  readonly messages: readonly Message[];
}

/** A state of the whole pair. Immutable. */
export interface World {
  readonly minds: readonly [Ref<Server>, Ref<Server>];
  readonly bodies: readonly [Ref<Body>, Ref<Body>];
  readonly net: Ref<Net>;
  readonly witness: Ref<Witness>;
}

/** An event without its time. */
export type Timeless<E extends HaEvent = HaEvent> = E extends HaEvent ? Omit<E, 'atMs'> : never;

/** Effects of a server's record that are in flight. */
export function effectsOf(mind: Server): readonly Effect[] {
  return mind.record.inFlight?.effects ?? [];
}

/** Whether the application really runs on a database that takes writes. */
export function reallyServes(body: Body): boolean {
  return body.power !== 'off' && body.mode === 'read-write' && body.processes;
}
