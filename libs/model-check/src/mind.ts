import { type Decision, type HaEvent, type Server, type Tables } from '@understudy/ha-core';
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
}

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
  later(mind: Ref<Server>, ms: number, isFrozen: boolean): Ref<Server> {
    const key = `${mind.id}${isFrozen ? '*' : '+'}${ms}`;
    const known = this.jumps.get(key);
    if (known !== undefined) return known;
    const later = this.interner.intern(
      isFrozen ? this.clocks.frozen(mind.value, ms) : this.clocks.canonical(mind.value, NOW_MS + ms),
    );
    this.jumps.set(key, later);
    return later;
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
