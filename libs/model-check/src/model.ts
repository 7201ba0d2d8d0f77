import {
  atStart,
  closedByOthersFromMs,
  decideBy,
  LeaseKnowledge,
  newRecord,
  type Server,
  type Settings,
  TABLES,
  type WitnessSettings,
} from '@understudy/ha-core';
import { ClockClasses, NOW_MS } from './clock-classes.ts';
import { Interner } from './interner.ts';
import type { BrokenLaw } from './laws-of-decisions.ts';
import { lawOfStep } from './laws-of-steps.ts';
import { type Contacts, type Machine, Minds, NO_CONTACTS, type Outcome } from './mind.ts';
import {
  closerEpochs,
  describeBody,
  describeMind,
  describeNet,
  describeWitness,
  renameBody,
  renameMind,
  renameNet,
  renameWitness,
  sorted,
} from './normal-form.ts';
import type { Body, Net, Ref, Side, Timeless, Witness, World } from './world.ts';

/** How many writes there may be between the oldest position that anybody remembers and the end of a log. */
export type Writes = 1 | 2;

/** The state machine of the product. */
export const PRODUCT: Machine = { tables: TABLES, decide: (server, event) => decideBy(TABLES, server, event) };

/**
 * Two servers with the real decision code. Worlds are immutable; a step makes a new one and notes which rules fired and which law
 * broke. Everything that is equal is kept once.
 */
export class Model {
  readonly writes: Writes;
  readonly settings: Omit<Settings, 'witness'>;
  readonly knowledge: typeof LeaseKnowledge;
  readonly minds: Interner<Server>;
  readonly bodies: Interner<Body>;
  readonly nets: Interner<Net>;
  readonly witnesses: Interner<Witness>;
  readonly clocks: ClockClasses;
  /** What happened within the present step, for the trace. */
  readonly fired: string[] = [];
  /** The first law that broke within the present step. */
  broken: BrokenLaw | null = null;
  private readonly decisions: Minds;
  private readonly renamings = new Map<number, ReadonlyMap<number, number> | null>();

  /** @param writes with one, every write that is lacking counts; with two, one may lack and two may not */
  constructor(machine: Machine = PRODUCT, writes: Writes = 1) {
    this.writes = writes;
    this.settings = {
      maximumLagBytes: writes - 1,
      minimumBetweenFailoversMs: 300_000,
      replication: 'async',
      wordLastsMs: 35_000,
    };
    this.knowledge = machine.knowledge ?? LeaseKnowledge;
    this.clocks = new ClockClasses(machine.tables);
    this.minds = new Interner(describeMind);
    this.bodies = new Interner(describeBody);
    this.nets = new Interner(describeNet);
    this.witnesses = new Interner(describeWitness);
    this.decisions = new Minds(machine, this.clocks, this.minds);
  }

  /** Two servers as installed, both switched off. */
  installed(witness: WitnessSettings | null): World {
    const settings = { ...this.settings, witness };
    const mind = (role: 'primary' | 'secondary') =>
      this.minds.intern(this.clocks.asleep(atStart(newRecord(role, `${role}-0`), settings, NOW_MS), 'off'));
    const body: Body = {
      power: 'off',
      mode: 'none',
      isStandby: false,
      log: [],
      hung: false,
      processes: false,
      progress: null,
      warrant: true,
      stopFailed: false,
      lossAccepted: false,
      told: [],
      rightMs: null,
      closedByRunner: false,
    };
    return {
      minds: [mind('primary'), mind('secondary')],
      bodies: [this.bodies.intern({ ...body, mode: 'stopped', log: [0] }), this.bodies.intern(body)],
      net: this.nets.intern({ cut: [false, false], messages: [] }),
      witness: this.witnesses.intern({ lease: null, isSeen: [false, false], cut: [false, false] }),
    };
  }

  /** Forgets what was noted of the step before. */
  begin(): void {
    this.fired.length = 0;
    this.broken = null;
  }

  /** Notes that a law broke. */
  breach(broken: BrokenLaw | null): void {
    this.broken ??= broken;
  }

  /** Number of an event, which saves writing it out again. */
  eventId(event: Timeless): number {
    return this.decisions.eventId(event);
  }

  /** An event reaches the state machine of a running server; its record is durable, then its effects take the place of those in flight. */
  feed(world: World, side: Side, event: Timeless, id?: number): { readonly world: World; readonly outcome: Outcome } {
    const outcome = this.decisions.feed(world.minds[side], event, id);
    const { rule, effects } = outcome.decision;
    if (rule !== null) this.fired.push(rule.id);
    this.breach(outcome.broken);
    const body = world.bodies[side].value;
    const stepped = lawOfStep(world, side, event, outcome);
    this.breach(stepped.broken);
    const noted = withRight(stepped.body, outcome.mind.value);
    const next = this.withMind(this.withBody(world, side, noted), side, outcome.mind);
    if (effects === null) return { world: next, outcome };
    const progress = effects.length === 0 ? null : { index: 0, asked: false };
    const begun = this.withBody(next, side, { ...noted, progress });
    // effects that had ended, but whose outcome was still on its way: it arrives late, and must change nothing
    const hadEnded = body.progress !== null && body.progress.index > 0 && event.type !== 'effects-completed';
    return { world: hadEnded ? this.lateOutcome(begun, side) : begun, outcome };
  }

  /** The outcome of a decision that another one has superseded. */
  private lateOutcome(world: World, side: Side): World {
    const late: Timeless = { type: 'effects-completed', decisionId: 'superseded', results: {} };
    const outcome = this.decisions.feed(world.minds[side], late);
    this.breach(outcome.broken);
    return this.withMind(world, side, outcome.mind);
  }

  /** Time passes for one server without an event. */
  later(world: World, side: Side, ms: number, isFrozen: boolean, contacts: Contacts = NO_CONTACTS): World {
    const mind = world.minds[side];
    if (world.bodies[side].value.power === 'off') return this.withMind(world, side, this.decisions.off(mind, ms));
    return this.withMind(world, side, this.decisions.later(mind, ms, isFrozen, contacts));
  }

  withMind(world: World, side: Side, mind: Ref<Server>): World {
    if (world.minds[side] === mind) return world;
    return { ...world, minds: side === 0 ? [mind, world.minds[1]] : [world.minds[0], mind] };
  }

  withBody(world: World, side: Side, body: Body): World {
    if (world.bodies[side].value === body) return world;
    const ref = this.bodies.intern(body);
    return { ...world, bodies: side === 0 ? [ref, world.bodies[1]] : [world.bodies[0], ref] };
  }

  withNet(world: World, net: Net): World {
    return { ...world, net: this.nets.intern({ ...net, messages: sorted(net.messages) }) };
  }

  withWitness(world: World, witness: Witness): World {
    return { ...world, witness: this.witnesses.intern(witness) };
  }

  /** The world under its normal names: epochs and positions as small as they can be, the common past of both logs forgotten. */
  normal(world: World): World {
    const [b0, b1] = world.bodies;
    const common = commonLength(b0.value.log, b1.value.log);
    const parts = [...world.minds, ...world.bodies, world.net, world.witness];
    const floor = parts.reduce((least, part) => Math.min(least, part.lowestLsn), common);
    const shift = Math.max(0, floor - 1);
    const marked = hasMarks(b0.value.log, common) || hasMarks(b1.value.log, common);
    if (shift > 0 || marked) return this.normal(this.rename(world, (epoch) => epoch, shift, common));
    const mask = parts.reduce((all, part) => all | part.epochs, 0);
    let renaming = this.renamings.get(mask);
    if (renaming === undefined) {
      renaming = closerEpochs(mask);
      this.renamings.set(mask, renaming);
    }
    if (renaming === null) return world;
    const names = renaming;
    return this.rename(world, (epoch) => names.get(epoch) ?? epoch, 0, common);
  }

  private rename(world: World, epoch: (epoch: number) => number, shift: number, common: number): World {
    const renaming = { epoch, shift };
    const [m0, m1] = world.minds;
    const [b0, b1] = world.bodies;
    return {
      minds: [this.minds.intern(renameMind(m0.value, renaming)), this.minds.intern(renameMind(m1.value, renaming))],
      bodies: [
        this.bodies.intern(renameBody(b0.value, renaming, common)),
        this.bodies.intern(renameBody(b1.value, renaming, common)),
      ],
      net: this.nets.intern(renameNet(world.net.value, renaming)),
      witness: this.witnesses.intern(renameWitness(world.witness.value, renaming)),
    };
  }
}

/** The manager notes until when it may serve, for the runner and for db-replication. */
function withRight(body: Body, mind: Server): Body {
  const fromMs = closedByOthersFromMs(mind);
  const rightMs = fromMs === null ? null : Math.max(0, fromMs - NOW_MS);
  return rightMs === body.rightMs ? body : { ...body, rightMs };
}

/** How many entries two logs share from their beginning; all of one when the other has no database. */
export function commonLength(a: readonly number[], b: readonly number[]): number {
  if (a.length === 0 || b.length === 0) return Math.max(a.length, b.length);
  let length = 0;
  while (length < a.length && length < b.length && a[length] === b[length]) length++;
  return length;
}

function hasMarks(log: readonly number[], common: number): boolean {
  for (let index = 0; index < common && index < log.length; index++) if (log[index] !== 0) return true;
  return false;
}
