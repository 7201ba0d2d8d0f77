import type { Model } from './model.ts';
import { answers } from './performing.ts';
import { observationOf, statusOf } from './status.ts';
import { other, SIDES, type Side, type World } from './world.ts';

/** Hears the peer's status of this moment. */
export function beat(model: Model, world: World, side: Side): World | null {
  if (world.bodies[side].value.power !== 'on' || !answers(world, side) || !isOfOnePair(world)) return null;
  return model.feed(world, side, { type: 'peer-heard', status: statusOf(world, other(side)) }).world;
}

/** A second has passed. */
export function tick(model: Model, world: World, side: Side): World | null {
  if (world.bodies[side].value.power !== 'on') return null;
  return model.feed(world, side, { type: 'tick', unixMs: 0 }).world;
}

/** The silence of a peer that really cannot be heard, or does not belong to the pair any more, is noticed. */
export function missPeer(model: Model, world: World, side: Side): World | null {
  const mind = world.minds[side].value;
  if (world.bodies[side].value.power !== 'on' || mind.record.pairId === null) return null;
  const lives = answers(world, side);
  if (lives && isOfOnePair(world)) return null;
  if (mind.link === 'unknown' || mind.link === 'up') return model.feed(world, side, { type: 'peer-lost' }).world;
  return model.feed(world, side, { type: lives ? 'peer-answered-probe' : 'peer-confirmed-lost' }).world;
}

/** Beats are answered to members of the own pair only. */
export function isOfOnePair({ minds }: World): boolean {
  const [p, s] = [minds[0].value.record.pairId, minds[1].value.record.pairId];
  return p !== null && p === s;
}

/** Looks at its database. */
export function observe(model: Model, world: World, side: Side): World | null {
  if (world.bodies[side].value.power !== 'on') return null;
  return model.feed(world, side, observationOf(world, side, false)).world;
}

/** What a server does every second or few, in one go. */
export function round(model: Model, world: World, side: Side): World | null {
  if (world.bodies[side].value.power !== 'on') return null;
  let now = observe(model, world, side) ?? world;
  now = beat(model, now, side) ?? missPeer(model, now, side) ?? now;
  return tick(model, now, side);
}

/** Something is under way that does not take long when nothing goes wrong: effects, messages. */
export function isBusy({ bodies, net }: World): boolean {
  return (
    net.value.messages.length > 0 ||
    SIDES.some((side) => bodies[side].value.power === 'on' && bodies[side].value.progress !== null)
  );
}

/** Time passes without an event; `isFrozen`: both managers stand still in it, and nothing they did not see counts. */
export function stall(model: Model, world: World, ms: number, isFrozen: boolean): World {
  const { messages } = world.net.value;
  // a status is believed only as the answer to a beat of a moment ago
  const fresh = messages.filter(({ kind }) => kind !== 'status');
  const aired =
    fresh.length === messages.length ? world : model.withNet(world, { ...world.net.value, messages: fresh });
  return model.later(model.later(aired, 0, ms, isFrozen), 1, ms, isFrozen);
}

/** Time passes, and both servers do in it what they do every few seconds. */
export function pass(model: Model, world: World, ms: number): World {
  let now = stall(model, world, ms, false);
  for (const side of SIDES) now = observe(model, now, side) ?? now;
  for (const side of SIDES) now = beat(model, now, side) ?? missPeer(model, now, side) ?? now;
  for (const side of SIDES) now = tick(model, now, side) ?? now;
  return now;
}
