import type { Model } from './model.ts';
import { arrives, failed, send, stepped } from './performing.ts';
import { effectsOf, type Message, other, type Side, type World } from './world.ts';

/** The message at `index` reaches its receiver. Null: there is none, or it cannot be delivered now. `stays`: a copy of it comes later. */
export function deliver(model: Model, world: World, index: number, stays: boolean): World | null {
  const message = world.net.value.messages[index];
  if (message === undefined || !arrives(world, message.from)) return null;
  const to = other(message.from);
  if (world.bodies[to].value.power !== 'on') return null;
  return receive(model, stays ? world : without(model, world, index), to, message);
}

/** The message at `index` is lost. */
export function lose(model: Model, world: World, index: number): World | null {
  return index < world.net.value.messages.length ? without(model, world, index) : null;
}

function without(model: Model, world: World, index: number): World {
  const net = world.net.value;
  return model.withNet(world, { ...net, messages: net.messages.filter((_, at) => at !== index) });
}

function receive(model: Model, world: World, to: Side, message: Message): World {
  switch (message.kind) {
    case 'status':
      return model.feed(world, to, { type: 'peer-heard', status: message.status }).world;
    case 'consent-request': {
      if (!isOfPair(world, to, message.pairId)) return world;
      const { epoch, knownLineage, knownFinalLsn } = message;
      const nonce = `@${epoch}`;
      const heard = model.feed(world, to, { type: 'consent-requested', epoch, nonce, knownLineage, knownFinalLsn });
      const granted = heard.outcome.decision.rule?.change?.includes('give-consent') ?? false;
      return answer(model, heard.world, { from: to, kind: 'consent-answer', epoch, granted });
    }
    case 'hand-over-request': {
      if (!isOfPair(world, to, message.pairId)) return world;
      const { operationId } = message;
      if (world.minds[to].value.record.operation?.id === operationId)
        return answer(model, world, { from: to, kind: 'hand-over-answer', operationId, accepted: true });
      const heard = model.feed(world, to, { type: 'hand-over-requested', operationId });
      const accepted = heard.outcome.decision.rule !== null;
      return answer(model, heard.world, { from: to, kind: 'hand-over-answer', operationId, accepted });
    }
    case 'consent-answer':
      return consentAnswered(model, world, to, message.epoch, message.granted);
    case 'hand-over-answer': {
      if (!waitsFor(world, to, 'request-hand-over')) return world;
      return message.accepted ? stepped(model, world, to) : failed(model, world, to, 'request-hand-over', 'refused');
    }
  }
}

/** An answer is given to the state machine even when nobody waits for it any more: the rules themselves must refuse it. */
export function consentAnswered(model: Model, world: World, to: Side, epoch: number, granted: boolean): World {
  const awaited = waitsFor(world, to, 'request-consent', epoch);
  const moved = awaited ? stepped(model, world, to) : world;
  return model.feed(moved, to, { type: 'consent-answered', nonce: `@${epoch}`, granted }).world;
}

function waitsFor({ bodies, minds }: World, side: Side, kind: string, epoch?: number): boolean {
  const { progress } = bodies[side].value;
  if (!progress?.asked) return false;
  const effect = effectsOf(minds[side].value)[progress.index];
  return effect?.kind === kind && (epoch === undefined || effect.epoch === epoch);
}

function isOfPair({ minds }: World, side: Side, pairId: string | null): boolean {
  const own = minds[side].value.record.pairId;
  return own !== null && own === pairId;
}

function answer(model: Model, world: World, message: Message): World {
  return arrives(world, message.from) ? send(model, world, message) : world;
}
