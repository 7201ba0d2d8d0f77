import { isServing, lineageOf } from '@understudy/ha-core';
import { type Action, MESSAGES_MAX, type OfSide, ofSides } from './action.ts';
import { JUMPS_MS, NOW_MS } from './clock-classes.ts';
import { FAULTS } from './faults.ts';
import { MAINTENANCE_ORDERS } from './maintenance.ts';
import { deliver } from './messages.ts';
import type { Model } from './model.ts';
import { ORDERS } from './orders.ts';
import { beat, missPeer, observe, passCalmly, round, tick } from './passing.ts';
import { answers, replicated, streams, work } from './performing.ts';
import { hasLease, look } from './witness.ts';
import { other, ROLES, reallyServes, SIDES, type Side, type World, withSide } from './world.ts';

/** Starts what is down: the host, or its manager alone. */
export function start(model: Model, world: World, side: Side): World | null {
  const body = world.bodies[side].value;
  if (body.power === 'on' || body.power === 'stands-still') return null;
  const mind = world.minds[side].value;
  const on = model.withBody(world, side, { ...body, power: 'on' });
  const sameRun = body.power === 'manager-down';
  const peer = world.minds[other(side)].value;
  const used = [mind.record.runId, peer.peer?.runId, peer.record.peerRunIdInSync];
  const fresh = [0, 1, 2, 3].map((n) => `${ROLES[side]}-${n}`).find((id) => !used.includes(id)) ?? 'none';
  // a manager that begins within a run reads how long the one before it could serve
  const rights = { peerGrantUntilMs: NOW_MS + (body.rightMs ?? 0), answeredAtMs: NOW_MS };
  const begun =
    hasLease(world) && sameRun ? model.minds.intern(model.clocks.canonical({ ...mind, ...rights }, NOW_MS)) : null;
  const started = begun === null ? on : model.withMind(on, side, begun);
  return model.feed(started, side, { type: 'boot', runId: sameRun ? mind.record.runId : fresh, sameRun }).world;
}

/** The application takes a write. */
export function write(model: Model, world: World, side: Side): World | null {
  const body = world.bodies[side].value;
  if (!reallyServes(body) || body.hung || body.log.length > model.writes) return null;
  const { record } = world.minds[side].value;
  return model.withBody(world, side, {
    ...body,
    log: [...body.log, isServing(record) ? record.hold : lineageOf(record)],
  });
}

function receive(model: Model, world: World, side: Side): World | null {
  return streams(world, side) ? replicated(model, world, side) : null;
}

/** A member of a pair that the peer has dissolved hears of it when it asks. */
export function hearDissolution(model: Model, world: World, side: Side): World | null {
  const { pairId } = world.minds[side].value.record;
  if (world.bodies[side].value.power !== 'on' || pairId === null || !answers(world, side)) return null;
  const { record } = world.minds[other(side)].value;
  if (record.pairId === pairId || !record.dissolved.includes(pairId)) return null;
  return model.feed(world, side, { type: 'pair-dissolved', pairId }).world;
}

/** A process that had failed runs again. */
function recover(model: Model, world: World, side: Side): World | null {
  if (world.minds[side].value.failedProcess === null) return null;
  return model.feed(world, side, { type: 'process-recovered' }).world;
}

function wake(model: Model, world: World, side: Side): World | null {
  const body = world.bodies[side].value;
  return body.power === 'stands-still' ? model.withBody(world, side, { ...body, power: 'on' }) : null;
}

function unhang(model: Model, world: World, side: Side): World | null {
  const body = world.bodies[side].value;
  return body.hung ? model.withBody(world, side, { ...body, hung: false }) : null;
}

const COURSE_OF_SIDES: readonly (readonly [string, OfSide])[] = [
  ['starts', start],
  ['goes on with its effects', work],
  ['does what it does every second', round],
  ['hears that its pair is dissolved', hearDissolution],
  ['takes a write', write],
  ['receives what was written', receive],
  ['has its process again', recover],
  ['has its database again', unhang],
  ['has its manager again', wake],
];

/** Parts of what a server does every second: with the fine grain each is a step of its own, and anything may happen in between. */
const PARTS_OF_SIDES: readonly (readonly [string, OfSide])[] = [
  ['hears the peer', beat],
  ['looks at its database', observe],
  ['ticks', tick],
  ['misses the peer', missPeer],
  ['looks at the witness', look],
];

/** Everything that may happen at any moment by itself. */
const COURSE: readonly Action[] = [
  ...ofSides(COURSE_OF_SIDES, 'course'),
  ...Array.from(
    { length: MESSAGES_MAX },
    (_, index): Action => ({
      name: `message ${index + 1} arrives`,
      kind: 'course',
      apply: (model, world) => deliver(model, world, index, false),
    }),
  ),
  ...SIDES.map(
    (side): Action => ({
      name: `link from the ${ROLES[side]} heals`,
      kind: 'course',
      apply: (model, world) => {
        const net = world.net.value;
        if (!net.cut[side]) return null;
        return model.withNet(world, { ...net, cut: withSide<boolean>(net.cut, side, false) });
      },
    }),
  ),
  ...SIDES.map(
    (side): Action => ({
      name: `way of the ${ROLES[side]} to the witness heals`,
      kind: 'course',
      apply: (model, world) => {
        const witness = world.witness.value;
        return witness.cut[side]
          ? model.withWitness(world, { ...witness, cut: withSide<boolean>(witness.cut, side, false) })
          : null;
      },
    }),
  ),
  ...JUMPS_MS.map(
    (ms): Action => ({
      name: `${ms / 1000} s pass`,
      kind: 'course',
      apply: (model, world) => passCalmly(model, world, ms),
    }),
  ),
];

const PARTS = ofSides(PARTS_OF_SIDES, 'part');

/** Everything that can happen, in the order in which it is tried. Traces and scenario files name actions by their names. */
export const ACTIONS: readonly Action[] = [...COURSE, ...PARTS, ...FAULTS, ...ORDERS, ...MAINTENANCE_ORDERS];
