import type { Action } from './action.ts';
import { MAINTENANCE_MINUTES } from './clock-classes.ts';
import type { Model } from './model.ts';
import { isOfOnePair } from './passing.ts';
import { answers, arrives } from './performing.ts';
import { hasLease } from './witness.ts';
import { other, ROLES, SIDES, type Side, type Timeless, type World } from './world.ts';

const BEGINS: Timeless = { type: 'operator-maintenance', minutes: MAINTENANCE_MINUTES, reason: '', unixMs: 0 };
const ENDS: Timeless = { type: 'operator-maintenance-end' };

/** What became of an order, and whether it was taken. */
interface Ordered {
  readonly world: World;
  readonly outcome: 'taken' | 'not-taken' | 'unknown';
}

/** An operator begins maintenance on one server, which tells the other: as the product's `MaintenanceService` does it. */
function begin(model: Model, world: World, side: Side, isAnswerLost: boolean): World | null {
  const { record } = world.minds[side].value;
  if (world.bodies[side].value.power !== 'on' || record.pairId === null) return null;
  if (record.opened) {
    // the server that might take over has to know first
    const told = tell(model, world, side, BEGINS, isAnswerLost);
    if (told.outcome !== 'taken') return told.world === world ? null : told.world;
    return order(model, told.world, side, BEGINS).world;
  }
  const begun = order(model, world, side, BEGINS);
  if (begun.outcome !== 'taken') return null;
  const told = tell(model, begun.world, side, BEGINS, isAnswerLost);
  const isUndone = told.outcome === 'not-taken' && hasLease(world) && record.maintenance === null;
  return isUndone ? order(model, told.world, side, ENDS).world : told.world;
}

/** An operator ends it, on the active server first. */
function end(model: Model, world: World, side: Side, isAnswerLost: boolean): World | null {
  const { record } = world.minds[side].value;
  if (world.bodies[side].value.power !== 'on' || record.maintenance === null) return null;
  if (record.opened) {
    const ended = order(model, world, side, ENDS);
    return ended.outcome === 'taken' ? tell(model, ended.world, side, ENDS, isAnswerLost).world : null;
  }
  const told = tell(model, world, side, ENDS, isAnswerLost);
  if (hasLease(world) && told.outcome !== 'taken') return told.world === world ? null : told.world;
  return order(model, told.world, side, ENDS).world;
}

function order(model: Model, world: World, side: Side, event: Timeless): Ordered {
  const { world: after, outcome } = model.feed(world, side, event);
  return { world: after, outcome: outcome.decision.rule === null ? 'not-taken' : 'taken' };
}

function tell(model: Model, world: World, from: Side, event: Timeless, isAnswerLost: boolean): Ordered {
  const to = other(from);
  if (world.bodies[to].value.power !== 'on' || !isOfOnePair(world)) return { world, outcome: 'not-taken' };
  if (!arrives(world, from)) return { world, outcome: 'unknown' };
  const heard = order(model, world, to, event);
  return isAnswerLost || !answers(world, from) ? { ...heard, outcome: 'unknown' } : heard;
}

/** The orders about planned work. Whoever gives one may die before the answer: as when the answer is lost. */
export const MAINTENANCE_ORDERS: readonly Action[] = SIDES.flatMap((side) =>
  [false, true].flatMap((isAnswerLost): Action[] => {
    const words = `maintenance on the ${ROLES[side]}${isAnswerLost ? ', and the answer of the other is lost' : ''}`;
    return [
      {
        name: `operator begins ${words}`,
        kind: 'order',
        apply: (model, world) => begin(model, world, side, isAnswerLost),
      },
      {
        name: `operator ends ${words}`,
        kind: 'order',
        apply: (model, world) => end(model, world, side, isAnswerLost),
      },
    ];
  }),
);
