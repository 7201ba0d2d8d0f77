import { JUMPS_MS, NOW_MS } from './clock-classes.ts';
import { NO_CONTACTS } from './mind.ts';
import type { Model } from './model.ts';
import { answers, arrives } from './performing.ts';
import { observationOf, statusOf } from './status.ts';
import { aged, contactsOf, hasLease, isKeptClosed, isRightEnding, look, revived } from './witness.ts';
import { effectsOf, other, SIDES, type Side, type World } from './world.ts';

/** Hears the peer's status of this moment. */
export function beat(model: Model, world: World, side: Side): World | null {
  if (world.bodies[side].value.power !== 'on' || !answers(world, side) || !isOfOnePair(world)) return null;
  if (!hasLease(world))
    return model.feed(world, side, { type: 'peer-heard', status: statusOf(world, other(side)) }).world;
  const answered = answerBeat(model, world, other(side));
  const status = statusOf(answered, other(side));
  return model.feed(answered, side, { type: 'peer-heard', status, sentAtMs: NOW_MS + 1 }).world;
}

/** A beat of the peer has come, and is answered: what the answer grants counts from now, whether or not it arrives. */
function answerBeat(model: Model, world: World, side: Side): World {
  return model.feed(world, side, { type: 'beat-answered' }).world;
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
  const isAnswered = hasLease(world) && isOfOnePair(world) && arrives(world, side);
  if (isAnswered && world.bodies[other(side)].value.power === 'on')
    return missed(model, answerBeat(model, world, other(side)), side, lives);
  return missed(model, world, side, lives);
}

function missed(model: Model, world: World, side: Side, lives: boolean): World {
  const mind = world.minds[side].value;
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
  const seen = revived(model, world, side);
  return model.feed(seen, side, observationOf(seen, side, false)).world;
}

/** What a server does every second or few, in one go. */
export function round(model: Model, world: World, side: Side): World | null {
  if (world.bodies[side].value.power !== 'on') return null;
  let now = look(model, world, side) ?? world;
  now = observe(model, now, side) ?? now;
  now = beat(model, now, side) ?? missPeer(model, now, side) ?? now;
  return tick(model, now, side);
}

/** Something is under way that does not take long when nothing goes wrong: effects, messages. */
export function isBusy(world: World): boolean {
  return world.net.value.messages.length > 0 || SIDES.some((side) => isAtWork(world, side));
}

/** Its effects go on; not those that wait for a right to serve. */
function isAtWork({ bodies, minds }: World, side: Side): boolean {
  const { power, progress, ...body } = bodies[side].value;
  if (power !== 'on' || progress === null) return false;
  const kind = effectsOf(minds[side].value)[progress.index]?.kind;
  return !isKeptClosed(body) || (kind !== 'open-database' && kind !== 'promote-database' && kind !== 'start-processes');
}

/** Time passes without an event; `isFrozen`: both managers stand still in it, and nothing they did not see counts. */
export function stall(model: Model, world: World, ms: number, isFrozen: boolean): World {
  const { messages } = world.net.value;
  // a status is believed only as the answer to a beat of a moment ago
  const fresh = messages.filter(({ kind }) => kind !== 'status');
  const aired =
    fresh.length === messages.length ? world : model.withNet(world, { ...world.net.value, messages: fresh });
  let now = aired;
  for (const side of SIDES) {
    const { power } = aired.bodies[side].value;
    const contacts = isFrozen ? NO_CONTACTS : contactsOf(aired, side, isOfOnePair(aired));
    now = model.later(now, side, ms, isFrozen || power === 'stands-still', contacts);
    now = model.withBody(now, side, aged(now.bodies[side].value, contacts.grant || contacts.lease ? 0 : ms));
  }
  return now;
}

/** With a witness, both servers look and are heard all the time: what can be fresh is fresh. */
function inTouch(model: Model, world: World): World {
  if (!hasLease(world)) return world;
  let now = world;
  // whoever does not renew the lease looks again after the other
  for (const side of [...SIDES, ...SIDES]) now = look(model, now, side) ?? now;
  for (const side of SIDES) now = beat(model, now, side) ?? missPeer(model, now, side) ?? now;
  return now;
}

/** Time passes, and both servers do in it what they do every few seconds. */
export function pass(model: Model, world: World, ms: number): World {
  let now = stall(model, inTouch(model, world), ms, false);
  for (const side of SIDES) now = look(model, now, side) ?? now;
  for (const side of SIDES) now = observe(model, now, side) ?? now;
  for (const side of SIDES) now = beat(model, now, side) ?? missPeer(model, now, side) ?? now;
  for (const side of SIDES) now = tick(model, now, side) ?? now;
  return now;
}

/** The same where nothing is under way. While a right to serve ends, time passes in small steps only, each of which a server may use. */
export function passCalmly(model: Model, world: World, ms: number): World | null {
  if (isBusy(world)) return null;
  const now = inTouch(model, world);
  if (isBusy(now)) return null;
  const isEnding = (side: Side) => isRightEnding(now, side, contactsOf(now, side, isOfOnePair(now)));
  return ms > JUMPS_MS[0] && SIDES.some(isEnding) ? null : pass(model, now, ms);
}
