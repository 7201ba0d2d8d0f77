import type { Decision, HaEvent, LeaseKnowledge, Server, ServerRole, Tables } from '@understudy/ha-core';
import { type ClockClasses, NOW_MS } from './clock-classes.ts';
import type { Interner } from './interner.ts';
import { type BrokenLaw, lawOfDecision } from './laws-of-decisions.ts';
import type { Ref, Timeless } from './world.ts';

/** What an event does to a mind, kept for the next time. */
export interface Outcome {
  readonly mind: Ref<Server>;
  readonly decision: Decision;
  /** A law that the decision breaks whatever the rest of the world is like. */
  readonly broken: BrokenLaw | null;
}

/** The state machine under check: the real one, or one with a planted fault. */
export interface Machine {
  readonly tables: Tables;
  readonly decide: (server: Server, event: HaEvent) => Decision;
  /** What a server makes of what it has seen of the lease, when that is not as in the product. */
  readonly knowledge?: new (
    role: ServerRole,
    leaseMs: number,
  ) => LeaseKnowledge;
}

/** What goes on while time passes, so that it is as fresh afterwards as before. */
export interface Contacts {
  /** The peer's answers let this server serve. */
  readonly grant: boolean;
  /** The peer's beats are answered. */
  readonly answered: boolean;
  /** The lease is renewed by this server. */
  readonly lease: boolean;
  /** Renewals of the lease are seen. */
  readonly seen: boolean;
}

/** Nothing is heard of anybody. */
export const NO_CONTACTS: Contacts = { grant: false, answered: false, lease: false, seen: false };

/** Decides, and remembers: the same event of the same mind is decided once. */
export class Minds {
  private readonly events = new Map<string, number>();
  private readonly outcomes: Map<number, Outcome>[] = [];
  private readonly jumps = new Map<string, Ref<Server>>();
  private readonly machine: Machine;
  private readonly clocks: ClockClasses;
  private readonly interner: Interner<Server>;

  constructor(machine: Machine, clocks: ClockClasses, interner: Interner<Server>) {
    this.machine = machine;
    this.clocks = clocks;
    this.interner = interner;
  }

  /** Number of an event, to be given to `feed`. */
  eventId(event: Timeless): number {
    const text = JSON.stringify(event);
    const known = this.events.get(text);
    if (known !== undefined) return known;
    this.events.set(text, this.events.size);
    return this.events.size - 1;
  }

  /** What follows from the event. */
  feed(mind: Ref<Server>, event: Timeless, id = this.eventId(event)): Outcome {
    let outcomes = this.outcomes[mind.id];
    if (outcomes === undefined) {
      outcomes = new Map();
      this.outcomes[mind.id] = outcomes;
    }
    const known = outcomes.get(id);
    if (known !== undefined) return known;
    const outcome = this.decide(mind, { ...event, atMs: NOW_MS + 1 } as HaEvent);
    outcomes.set(id, outcome);
    return outcome;
  }

  /** The mind after time has passed without an event. */
  later(mind: Ref<Server>, ms: number, isFrozen: boolean, contacts: Contacts): Ref<Server> {
    const { grant, answered, lease, seen } = contacts;
    const kept = (grant ? 1 : 0) + (answered ? 2 : 0) + (lease ? 4 : 0) + (seen ? 8 : 0);
    const key = `${mind.id}${isFrozen ? '*' : '+'}${ms}/${kept}`;
    const known = this.jumps.get(key);
    if (known !== undefined) return known;
    const later = this.interner.intern(
      isFrozen
        ? this.clocks.frozen(mind.value, ms)
        : this.clocks.canonical(inContact(mind.value, ms, contacts), NOW_MS + ms),
    );
    this.jumps.set(key, later);
    return later;
  }

  /** The mind of a server that is switched off, after a time. */
  off(mind: Ref<Server>, ms: number): Ref<Server> {
    const later = this.clocks.off(mind.value, ms);
    return later === mind.value ? mind : this.interner.intern(later);
  }

  private decide(mind: Ref<Server>, event: HaEvent): Outcome {
    try {
      const decision = this.machine.decide(mind.value, event);
      const after = this.clocks.canonical(decision.server, NOW_MS + 1);
      return {
        mind: this.interner.intern(after),
        decision,
        broken: lawOfDecision(mind.value, event, decision),
      };
    } catch (error) {
      const decision: Decision = {
        server: mind.value,
        decisionId: null,
        effects: null,
        rule: null,
        previousState: mind.value.record.state,
        refusal: null,
        operationEnded: null,
      };
      return { mind, decision, broken: { law: '1', says: `the decision throws: ${String(error)}` } };
    }
  }
}

/** The server as if what goes on meanwhile had happened at the end of that time. */
function inContact(server: Server, ms: number, { grant, answered, lease, seen }: Contacts): Server {
  const { witness, peerGrantUntilMs, answeredAtMs } = server;
  if (!grant && !answered && !lease && !seen) return server;
  const { leaseUntilMs = null, takeableAtMs = null } = witness ?? {};
  return {
    ...server,
    peerGrantUntilMs: peerGrantUntilMs + (grant ? ms : 0),
    answeredAtMs: answeredAtMs + (answered ? ms : 0),
    witness: witness && {
      ...witness,
      leaseUntilMs: leaseUntilMs === null ? null : leaseUntilMs + (lease ? ms : 0),
      takeableAtMs: takeableAtMs === null ? null : takeableAtMs + (seen ? ms : 0),
    },
  };
}
