import { atStart, doubtedRecord, isEpochOf, lineageOf, newRecord, type ServerRecord } from '@understudy/ha-core';
import { type Action, MESSAGES_MAX, type OfSide, ofSides } from './action.ts';
import { JUMPS_MS, nonceOf } from './clock-classes.ts';
import { consentAnswered, deliver, lose } from './messages.ts';
import type { Model } from './model.ts';
import { isOfOnePair, stall } from './passing.ts';
import { answers, failed, perform } from './performing.ts';
import { observationOf, statusOf } from './status.ts';
import { hasLease, leaseUnheard, renewUnheard, wipe } from './witness.ts';
import { effectsOf, other, ROLES, SIDES, type Side, type World, withSide } from './world.ts';

/** The host loses its power: nothing says good-bye. */
export function crash(model: Model, world: World, side: Side): World | null {
  const body = world.bodies[side].value;
  if (body.power === 'off') return null;
  const runs = body.mode === 'read-write' || body.mode === 'standby';
  const off = model.withBody(world, side, {
    ...body,
    power: 'off',
    mode: runs ? 'stopped' : body.mode,
    isStandby: runs ? body.mode === 'standby' : body.isStandby,
    hung: false,
    processes: false,
    progress: null,
    warrant: false,
    stopFailed: false,
    told: [],
    rightMs: null,
    closedByRunner: false,
  });
  return model.withMind(off, side, model.minds.intern(model.clocks.asleep(world.minds[side].value, 'off')));
}

/** The host loses its power, and what it remembers: nothing is left of the record, or an older one. */
function loseRecord(model: Model, world: World, side: Side, leaves: 'nothing' | 'older'): World | null {
  const { record, settings } = world.minds[side].value;
  const off = crash(model, world, side);
  if (off === null) return null;
  const older: ServerRecord | null = leaves === 'nothing' ? null : { ...record, behind: false, peerPosition: null };
  const { pairId } = record;
  const rebuilt =
    pairId === null
      ? newRecord(ROLES[side], record.runId)
      : doubtedRecord(ROLES[side], older, { pairId, epoch: unusedEpoch(world), doubt: 'lost' });
  const mind = atStart({ ...rebuilt, runId: record.runId }, settings, 0);
  return model.withMind(off, side, model.minds.intern(model.clocks.asleep(mind, 'off')));
}

/** Beyond every epoch of the world. */
function unusedEpoch({ minds, bodies, net, witness }: World): number {
  return (
    33 -
    Math.clz32(minds[0].epochs | minds[1].epochs | bodies[0].epochs | bodies[1].epochs | net.epochs | witness.epochs)
  );
}

/** The manager dies alone; what it had started runs on. */
function killManager(model: Model, world: World, side: Side): World | null {
  const body = world.bodies[side].value;
  if (body.power !== 'on') return null;
  const down = model.withBody(world, side, { ...body, power: 'manager-down', progress: null, told: [] });
  return model.withMind(down, side, model.minds.intern(model.clocks.asleep(world.minds[side].value, 'on')));
}

/** The manager does nothing for a time and knows nothing of it; what it had started runs on, and the rest of the machine goes on. */
function freeze(model: Model, world: World, side: Side): World | null {
  const body = world.bodies[side].value;
  if (body.power !== 'on' || !hasLease(world)) return null;
  return model.withBody(world, side, { ...body, power: 'stands-still' });
}

function cutFromWitness(model: Model, world: World, sides: readonly Side[]): World | null {
  const witness = world.witness.value;
  const has = world.minds[0].value.settings.witness !== null;
  if (!has || sides.some((side) => witness.cut[side])) return null;
  return model.withWitness(world, {
    ...witness,
    cut: sides.reduce((cut, side) => withSide<boolean>(cut, side, true), witness.cut),
  });
}

/** An answer of the witness to a request of long ago arrives. */
function oldLeaseAnswer(model: Model, world: World, side: Side): World | null {
  if (world.bodies[side].value.power !== 'on' || !hasLease(world)) return null;
  return model.feed(world, side, { type: 'lease-answered', nonce: nonceOf(0), granted: true }).world;
}

function cut(model: Model, world: World, from: Side): World | null {
  const net = world.net.value;
  if (net.cut[from]) return null;
  return model.withNet(world, { ...net, cut: withSide<boolean>(net.cut, from, true) });
}

/** The effect fails before it has done anything, or after it has done its work. */
function failEffect(model: Model, world: World, side: Side, hasWorked: boolean, code = 'injected'): World | null {
  const { progress, power } = world.bodies[side].value;
  if (progress === null || power !== 'on') return null;
  const effect = effectsOf(world.minds[side].value)[progress.index];
  if (effect === undefined) return null;
  if (code === 'copy-failed' && effect.kind !== 'follow-peer') return null;
  if (!hasWorked) {
    // what cannot be stopped shall at least not write
    const next = effectsOf(world.minds[side].value)[progress.index + 1];
    const closes = effect.kind === 'stop-processes' && next?.kind === 'stop-database';
    const closed = closes ? perform(model, world, side, next) : world;
    return failed(model, closed === null || typeof closed === 'string' ? world : closed, side, effect.kind, code);
  }
  if (effect.kind === 'request-consent' || effect.kind === 'request-hand-over') return null;
  const unheard = effect.kind === 'acquire-lease' && leaseUnheard(model, world, side, effect.epoch);
  const done = unheard === false ? perform(model, world, side, effect) : unheard;
  return done === null || typeof done === 'string' ? null : failed(model, done, side, effect.kind, code);
}

/** A status is on its way for a while: other things happen before it arrives. */
function delayStatus(model: Model, world: World, side: Side): World | null {
  const net = world.net.value;
  if (world.bodies[side].value.power !== 'on' || !answers(world, side) || net.messages.length >= MESSAGES_MAX)
    return null;
  if (!isOfOnePair(world)) return null;
  const status = statusOf(world, other(side));
  return model.withNet(world, { ...net, messages: [...net.messages, { from: other(side), kind: 'status', status }] });
}

/** The peer is missed although it lives and the link is whole. */
function falseAlarm(model: Model, world: World, side: Side): World | null {
  const mind = world.minds[side].value;
  if (world.bodies[side].value.power !== 'on' || mind.record.pairId === null || !answers(world, side)) return null;
  const type = mind.link === 'lost' || mind.link === 'confirmed-lost' ? 'peer-confirmed-lost' : 'peer-lost';
  return model.feed(world, side, { type }).world;
}

function onlyUrlAnswers(model: Model, world: World, side: Side): World | null {
  const { record } = world.minds[side].value;
  if (world.bodies[side].value.power !== 'on' || record.pairId === null) return null;
  return model.feed(world, side, { type: 'peer-answered-probe' }).world;
}

function failProcess(model: Model, world: World, side: Side): World | null {
  const body = world.bodies[side].value;
  if (body.power !== 'on' || !body.processes || world.minds[side].value.failedProcess !== null) return null;
  return model.feed(world, side, { type: 'process-failed', process: 'application' }).world;
}

function hang(model: Model, world: World, side: Side): World | null {
  const body = world.bodies[side].value;
  if (body.hung || (body.mode !== 'read-write' && body.mode !== 'standby')) return null;
  return model.withBody(world, side, { ...body, hung: true });
}

/** A granted answer to a request of long ago arrives: a copy that the network kept. */
function oldAnswer(model: Model, world: World, side: Side): World | null {
  if (world.bodies[side].value.power !== 'on' || world.minds[side].value.record.pairId === null) return null;
  return model.feed(world, side, { type: 'consent-answered', nonce: nonceOf(0), granted: true }).world;
}

/** A request of the peer from long ago arrives: its epoch is older than the one known here. */
function oldRequest(model: Model, world: World, side: Side): World | null {
  const { record } = world.minds[side].value;
  const { role, epoch, pairId, finalLsn } = record;
  if (world.bodies[side].value.power !== 'on' || pairId === null) return null;
  const old = [epoch - 1, epoch - 2].find((candidate) => candidate > 0 && !isEpochOf(role, candidate));
  if (old === undefined) return null;
  const known = { knownLineage: lineageOf(record), knownFinalLsn: finalLsn };
  return model.feed(world, side, { type: 'consent-requested', epoch: old, nonce: nonceOf(old), ...known }).world;
}

/** The peer refuses its consent, for whatever reason. */
function refused(model: Model, world: World, side: Side): World | null {
  const { request } = world.minds[side].value.record;
  const { progress, power } = world.bodies[side].value;
  if (request === null || power !== 'on' || !progress?.asked) return null;
  const net = world.net.value;
  const messages = net.messages.filter((message) => !('epoch' in message) || message.epoch !== request.epoch);
  return consentAnswered(model, model.withNet(world, { ...net, messages }), side, request.epoch, false);
}

function observeBlind(model: Model, world: World, side: Side): World | null {
  if (world.bodies[side].value.power !== 'on') return null;
  return model.feed(world, side, observationOf(world, side, true)).world;
}

const OF_SIDES: readonly (readonly [string, OfSide])[] = [
  ['loses its power', crash],
  ['loses its power and its record', (model, world, side) => loseRecord(model, world, side, 'nothing')],
  [
    'loses its power and comes back with an older record',
    (model, world, side) => loseRecord(model, world, side, 'older'),
  ],
  ['loses its manager', killManager],
  ['cannot send any more', cut],
  ['fails an effect before it works', (model, world, side) => failEffect(model, world, side, false)],
  ['fails an effect after it has worked', (model, world, side) => failEffect(model, world, side, true)],
  ['fails a full copy', (model, world, side) => failEffect(model, world, side, false, 'copy-failed')],
  ['is about to get a status', delayStatus],
  ['misses a peer that lives', falseAlarm],
  ['hears nothing, yet the URL answers', onlyUrlAnswers],
  ['loses a process for good', failProcess],
  ['has a database that hangs', hang],
  ['cannot read its position', observeBlind],
  ['gets an answer to a request of long ago', oldAnswer],
  ['gets a request of long ago', oldRequest],
  ['is refused the consent', refused],
  ['has a manager that stands still', freeze],
  ['cannot reach the witness', (model, world, side) => cutFromWitness(model, world, [side])],
  ['has its lease renewed and does not hear of it', renewUnheard],
  ['gets an answer of the witness of long ago', oldLeaseAnswer],
];

/** Everything that can go wrong. Each counts. */
export const FAULTS: readonly Action[] = [
  ...ofSides(OF_SIDES, 'fault'),
  ...JUMPS_MS.map(
    (ms): Action => ({
      name: `${ms / 1000} s pass in which nobody does anything`,
      kind: 'fault',
      apply: (model, world) => stall(model, world, ms, true),
    }),
  ),
  {
    name: `${JUMPS_MS[1] / 1000} s pass in which only the databases are not looked at`,
    kind: 'fault',
    apply: (model, world) => stall(model, world, JUMPS_MS[1], false),
  },
  {
    name: 'nobody can reach the witness',
    kind: 'fault',
    apply: (model, world) => cutFromWitness(model, world, SIDES),
  },
  {
    name: 'the witness loses its storage',
    kind: 'fault',
    apply: (model, world) => (hasLease(world) ? wipe(model, world) : null),
  },
  ...[0, 1, 2].flatMap((index): Action[] => [
    {
      name: `message ${index + 1} is lost`,
      kind: 'fault',
      apply: (model, world) => lose(model, world, index),
    },
    {
      name: `message ${index + 1} arrives and will arrive again`,
      kind: 'fault',
      apply: (model, world) => deliver(model, world, index, true),
    },
  ]),
];
