import type { Effect, EffectKind } from '@understudy/ha-core';
import { stillMissing } from './laws-of-steps.ts';
import { commonLength, type Model } from './model.ts';
import { lengthOf, lsnOf } from './normal-form.ts';
import { askForLease, isKeptClosed, leaseAnswered } from './witness.ts';
import { type Body, effectsOf, type Message, other, type Side, type World } from './world.ts';

/** Whether what `side` sends now would arrive at a host that is switched on. */
export function arrives({ net, bodies }: World, side: Side): boolean {
  return !net.value.cut[side] && bodies[other(side)].value.power !== 'off';
}

/** Whether the hosts reach each other both ways, as a connection needs it. */
export function connected({ net, bodies }: World): boolean {
  return !net.value.cut[0] && !net.value.cut[1] && bodies[0].value.power !== 'off' && bodies[1].value.power !== 'off';
}

/** Whether a request of `side` would be answered by the other's manager now. */
export function answers(world: World, side: Side): boolean {
  return connected(world) && world.bodies[other(side)].value.power === 'on';
}

/** Whether the database of `standby` follows the one of the other server at this moment. */
export function streams(world: World, standby: Side): boolean {
  const to = world.bodies[standby].value;
  const from = world.bodies[other(standby)].value;
  return (
    connected(world) &&
    from.mode === 'read-write' &&
    to.mode === 'standby' &&
    !from.hung &&
    !to.hung &&
    commonLength(to.log, from.log) === to.log.length
  );
}

/** The standby receives everything that the other server has. */
export function replicated(model: Model, world: World, standby: Side): World {
  const body = world.bodies[standby].value;
  const { log } = world.bodies[other(standby)].value;
  if (body.log.length === log.length) return world;
  return model.withBody(world, standby, { ...body, log, told: stillMissing({ ...body, log }, body.told) });
}

/** Goes on with the effects in flight of a server: performs the next one, or reports that all are done. Null: nothing to do, or it waits. */
export function work(model: Model, world: World, side: Side): World | null {
  const { progress, power } = world.bodies[side].value;
  if (progress === null || power !== 'on') return null;
  const effect = effectsOf(world.minds[side].value)[progress.index];
  if (effect === undefined) return report(model, world, side);
  const request = requestOf(world, side, effect);
  if (request !== null) return ask(model, world, side, effect.kind, request);
  if (effect.kind === 'acquire-lease')
    return progress.lease === undefined
      ? (askForLease(model, world, side, effect.epoch) ?? failed(model, world, side, effect.kind, 'unreachable'))
      : leaseAnswered(model, world, side, effect.epoch);
  const done = perform(model, world, side, effect);
  if (done === null) return null;
  return typeof done === 'string' ? failed(model, world, side, effect.kind, done) : stepped(model, done, side);
}

/** The outcome of a decision whose effects have all worked. */
function report(model: Model, world: World, side: Side): World {
  const body = world.bodies[side].value;
  const finalLsn = body.progress?.finalLsn;
  const ended = model.withBody(world, side, { ...body, progress: null });
  const { decisionId } = world.minds[side].value.record.inFlight ?? { decisionId: '' };
  const results = finalLsn === undefined ? {} : { finalLsn, databaseMissing: finalLsn === null };
  return model.feed(ended, side, { type: 'effects-completed', decisionId, results }).world;
}

/** An effect of a server fails; what it did before stays done. */
export function failed(model: Model, world: World, side: Side, effect: EffectKind, code: string): World {
  const body = world.bodies[side].value;
  const stopFailed = body.stopFailed || effect === 'stop-database' || effect === 'stop-processes';
  const ended = model.withBody(world, side, { ...body, progress: null, stopFailed });
  const { decisionId } = world.minds[side].value.record.inFlight ?? { decisionId: '' };
  return model.feed(ended, side, { type: 'effect-failed', decisionId, effect, code, message: '' }).world;
}

/** The effect in flight is done: the next one follows. */
export function stepped(model: Model, world: World, side: Side): World {
  const body = world.bodies[side].value;
  if (body.progress === null) return world;
  return model.withBody(world, side, {
    ...body,
    progress: { ...body.progress, index: body.progress.index + 1, asked: false },
  });
}

/** Does the work of an effect. A text: why it cannot be done. Null: it waits. As `Interpreter` and the services do it. */
export function perform(model: Model, world: World, side: Side, effect: Effect): World | string | null {
  const body = world.bodies[side].value;
  const set = (change: Partial<Body>) => model.withBody(world, side, { ...body, ...change });
  switch (effect.kind) {
    case 'open-database':
    case 'promote-database':
      if (isKeptClosed(body)) return null;
      if (body.mode === 'none') return world.minds[side].value.record.pairId === null ? world : 'no-data';
      if (
        effect.kind === 'promote-database' &&
        effect.requiredLsn !== null &&
        body.log.length < lengthOf(effect.requiredLsn)
      )
        return 'data-missing';
      if (!body.warrant)
        model.breach({
          law: '6',
          says: `the database of side ${side} opens after a start without anybody having been asked`,
        });
      return set({ mode: 'read-write', isStandby: false, closedByRunner: false });
    case 'stop-database':
      return stopDatabase(model, world, side);
    case 'follow-peer': {
      const source = world.bodies[other(side)].value;
      if (!connected(world) || source.mode !== 'read-write' || source.hung) return 'peer-unreachable';
      const isCurrent =
        body.mode !== 'none' && !effect.forceCopy && commonLength(body.log, source.log) === body.log.length;
      const log = isCurrent ? body.log : source.log;
      return set({
        mode: 'standby',
        isStandby: true,
        closedByRunner: false,
        log,
        stopFailed: body.stopFailed && body.processes,
        told: stillMissing({ ...body, log }, body.told),
      });
    }
    case 'start-processes':
      return isKeptClosed(body) ? null : set({ processes: true });
    case 'stop-processes':
      return set({ processes: false, stopFailed: body.stopFailed && body.mode === 'read-write' });
    case 'await-data':
      if (body.log.length >= lengthOf(effect.lsn)) return world;
      return streams(world, side) ? null : 'data-missing';
    case 'request-consent':
    case 'request-hand-over':
      return world; // see ask
    case 'acquire-lease':
      return world; // see work
    case 'fence':
      return set({ ...atRest(body), processes: false, stopFailed: false, closedByRunner: false });
    case 'announce-dissolution':
      return answers(world, side)
        ? model.feed(world, other(side), { type: 'pair-dissolved', pairId: effect.pairId }).world
        : world;
    case 'register-with-peer':
      return register(model, world, side, effect.operationId);
    case 'retire-pairing':
      return retire(model, world, side);
  }
}

/** What a database is once it does not run. */
export function atRest({ mode, isStandby }: Body): Pick<Body, 'mode' | 'isStandby' | 'hung'> {
  if (mode === 'none') return { mode, isStandby: false, hung: false };
  return { mode: 'stopped', isStandby: mode === 'stopped' ? isStandby : mode === 'standby', hung: false };
}

function stopDatabase(model: Model, world: World, side: Side): World {
  const peer = other(side);
  // a clean stop hands everything to a standby that is connected
  const handed = streams(world, peer) ? replicated(model, world, peer) : world;
  const body = handed.bodies[side].value;
  const finalLsn = body.mode === 'none' ? null : lsnOf(body.log.length);
  return model.withBody(handed, side, {
    ...body,
    ...atRest(body),
    closedByRunner: false,
    stopFailed: body.stopFailed && body.processes,
    progress: body.progress && { ...body.progress, finalLsn },
  });
}

function requestOf({ minds }: World, from: Side, effect: Effect): Message | null {
  const { pairId } = minds[from].value.record;
  if (effect.kind === 'request-consent') {
    const { epoch, knownLineage, knownFinalLsn } = effect;
    return { from, kind: 'consent-request', pairId, epoch, knownLineage, knownFinalLsn };
  }
  if (effect.kind === 'request-hand-over')
    return { from, kind: 'hand-over-request', pairId, operationId: effect.operationId };
  return null;
}

/** Sends a request once, then waits for its answer; when neither is under way any more, nobody will answer. */
function ask(model: Model, world: World, side: Side, kind: EffectKind, request: Message): World | null {
  const body = world.bodies[side].value;
  if (body.progress?.asked)
    return isUnderWay(world, request) ? null : failed(model, world, side, kind, 'peer-unreachable');
  const sent = model.withBody(world, side, { ...body, progress: body.progress && { ...body.progress, asked: true } });
  return arrives(world, side) ? send(model, sent, request) : sent;
}

/** Puts a message under way. */
export function send(model: Model, world: World, message: Message): World {
  const net = world.net.value;
  return model.withNet(world, { ...net, messages: [...net.messages, message] });
}

function isUnderWay({ net }: World, request: Message): boolean {
  return net.value.messages.some(
    (message) =>
      ('epoch' in request && 'epoch' in message && message.epoch === request.epoch) ||
      ('operationId' in request && 'operationId' in message && message.operationId === request.operationId),
  );
}

function register(model: Model, world: World, side: Side, operationId: string): World | string {
  const { pairId, failoverType } = world.minds[side].value.record;
  if (!answers(world, side) || pairId === null) return 'unreachable';
  const begun = model.feed(world, other(side), { type: 'registration-begun', operationId, pairId, failoverType });
  return begun.outcome.decision.rule === null ? 'already-paired' : begun.world;
}

function retire(model: Model, world: World, side: Side): World {
  const body = world.bodies[side].value;
  if (side === 1) {
    // only a copy that was never whole is thrown away
    if (world.minds[side].value.record.complete) return world;
    return model.withBody(world, side, { ...body, mode: 'none', isStandby: false, log: [], told: [] });
  }
  // after a start the session with the secondary is gone, and it cannot be told
  const isAfterStart = effectsOf(world.minds[side].value).some(({ kind }) => kind === 'open-database');
  if (isAfterStart || !answers(world, side)) return world;
  return model.feed(world, other(side), { type: 'registration-abandoned' }).world;
}
