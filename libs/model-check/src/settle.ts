import { actionRefusal, type OperatorEventType, type Server } from '@understudy/ha-core';
import type { Action } from './action.ts';
import { ACTIONS, hearDissolution, start } from './actions.ts';
import { JUMPS_MS, NOW_MS } from './clock-classes.ts';
import type { BrokenLaw } from './laws-of-decisions.ts';
import { deliver } from './messages.ts';
import type { Model } from './model.ts';
import { nameOperations } from './orders.ts';
import { beat, missPeer, observe, pass, tick } from './passing.ts';
import { replicated, streams, work } from './performing.ts';
import { look } from './witness.ts';
import { reallyServes, SIDES, type World } from './world.ts';

/** How a world ends when no more faults come. */
export type Ending =
  | 'protected'
  | 'not-configured'
  | 'waits-for-removal'
  | 'waits-for-word'
  | 'waits-for-operator'
  | 'never';

/** Rounds without a step of time within one moment; more means that something turns in a circle. */
const ROUNDS_MAX = 60;
/** Steps of time until a world must have come to its end. */
const MOMENTS_MAX = 80;

/** Orders that bring a pair on its way back. */
const WAYS_OUT: readonly OperatorEventType[] = [
  'operator-failover',
  'operator-activate-alone',
  'operator-register',
  'operator-remove',
];

const HEALING = ACTIONS.filter(({ name }) => /heals$|again$/.test(name) && !name.includes('arrives'));

/**
 * Follows each world to where it comes to rest when faults stop: the link heals, what is down starts, every message arrives, effects
 * work, time passes. What is known of a world holds for all on the way to it.
 */
export class Settling {
  private readonly known = new Map<string, Ending>();
  private readonly model: Model;

  constructor(model: Model) {
    this.model = model;
  }

  /** Where the world comes to rest; `path`, when given, gets the worlds on the way. */
  ending(world: World, path?: World[]): Ending {
    const visits = new Map<string, number>();
    let now = this.heal(world);
    let ending: Ending | undefined;
    for (let moment = 0; moment < MOMENTS_MAX && ending === undefined; moment++) {
      const key = keyOf(now);
      const visit = visits.get(key) ?? 0;
      visits.set(key, visit + 1);
      // it comes back to itself although every limit was given time to pass
      ending = this.known.get(key) ?? (visit === JUMPS_MS.length ? restingPlace(now, true) : undefined);
      if (ending !== undefined) break;
      path?.push(now);
      const settled = this.moment(now);
      path?.push(settled);
      ending = restingPlace(settled, false);
      if (ending === undefined) now = this.normal(pass(this.model, settled, JUMPS_MS[visit] ?? JUMPS_MS[0]));
    }
    for (const key of visits.keys()) this.known.set(key, ending ?? 'never');
    return ending ?? 'never';
  }

  private heal(world: World): World {
    let healed = world;
    for (const action of HEALING) healed = this.step(action, healed);
    for (const side of SIDES) healed = this.normal(start(this.model, healed, side) ?? healed);
    return healed;
  }

  /** Everything that happens without time passing. */
  private moment(world: World): World {
    let now = world;
    for (let round = 0; round < ROUNDS_MAX; round++) {
      const next = this.round(now);
      if (keyOf(next) === keyOf(now)) return now;
      now = next;
    }
    return now;
  }

  private round(world: World): World {
    const { model } = this;
    let now = world;
    for (let first = deliver(model, now, 0, false); first !== null; first = deliver(model, now, 0, false))
      now = this.normal(first);
    for (const side of SIDES) {
      now = this.normal(work(model, now, side) ?? now);
      now = this.normal(look(model, now, side) ?? now);
      if (streams(now, side)) now = this.normal(replicated(model, now, side));
      now = this.normal(observe(model, now, side) ?? now);
    }
    for (const side of SIDES) {
      const heard = beat(model, now, side) ?? missPeer(model, now, side);
      now = this.normal(heard ?? now);
      now = this.normal(hearDissolution(model, now, side) ?? now);
      now = this.normal(tick(model, now, side) ?? now);
    }
    return now;
  }

  private step(action: Action, world: World): World {
    return this.normal(action.apply(this.model, world) ?? world);
  }

  private normal(world: World): World {
    return this.model.normal(nameOperations(this.model, world));
  }
}

/** Whether a world at the end of a moment is where it may stay. `forGood`: it comes back to itself. */
function restingPlace(world: World, forGood: true): Ending;
function restingPlace(world: World, forGood: false): Ending | undefined;
function restingPlace(world: World, forGood: boolean): Ending | undefined {
  const [p, s] = [world.minds[0].value, world.minds[1].value];
  const serving = SIDES.filter((side) => reallyServes(world.bodies[side].value));
  const pair = `${p.record.state}/${s.record.state}`;
  const atRest = p.record.inFlight === null && s.record.inFlight === null;
  if (atRest && serving.length === 1) {
    const streaming = streams(world, serving[0] === 0 ? 1 : 0);
    if (streaming && pair === 'primary-active/secondary-syncing' && serving[0] === 0) return 'protected';
    if (streaming && pair === 'primary-syncing/secondary-active' && serving[0] === 1) return 'protected';
    if (pair === 'ha-not-configured/ha-not-configured') return 'not-configured';
  }
  if (!forGood) return undefined;
  const ways = [...waysOut(p), ...waysOut(s)];
  // dissolved by an operator on one server: the other is kept until an operator says so there too
  if (p.record.pairId !== s.record.pairId && ways.includes('operator-remove')) return 'waits-for-removal';
  // what a server did whose record was lost, an operator has to say
  if ((p.record.doubt !== null || s.record.doubt !== null) && ways.length > 0) return 'waits-for-word';
  return ways.length > 0 ? 'waits-for-operator' : 'never';
}

/** Law 7, of a pair whose faults have all stopped: it comes to rest by itself. That only an order would help is no rest. */
export function lawOfRest(ending: Ending): BrokenLaw | null {
  if (ending === 'never') return { law: '7', says: 'no end is reached when faults stop, and no order is possible' };
  return ending === 'waits-for-operator'
    ? { law: '7', says: 'the pair waits for an operator although nothing is broken any more' }
    : null;
}

/** The orders that an operator can give to a server to bring the pair on its way. */
export function waysOut(mind: Server): readonly OperatorEventType[] {
  return WAYS_OUT.filter((action) => actionRefusal(mind, action, NOW_MS + 1) === null);
}

function keyOf({ minds, bodies, net, witness }: World): string {
  return `${minds[0].id},${minds[1].id},${bodies[0].id},${bodies[1].id},${net.id},${witness.id}`;
}
