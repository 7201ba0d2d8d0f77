import type { FailoverType } from '@understudy/ha-core';
import type { Action } from './action.ts';
import type { Model } from './model.ts';
import { SIDES, type Side, type Timeless, type World } from './world.ts';

const OPERATIONS = ['a', 'b', 'c', 'd', 'e', 'f'];
const PAIRS = ['pair-1', 'pair-2', 'pair-3', 'pair-4', 'pair-5'];

/** An operation id that nobody in the world knows. */
export function freshOperation({ minds, net }: World): string {
  const used = new Set<string | undefined>();
  for (const { value } of minds) {
    used.add(value.record.operation?.id).add(value.peer?.operation?.id);
    for (const effect of value.record.inFlight?.effects ?? [])
      if ('operationId' in effect) used.add(effect.operationId);
  }
  for (const message of net.value.messages) {
    if ('operationId' in message) used.add(message.operationId);
    if (message.kind === 'status') used.add(message.status.operation?.id);
  }
  return OPERATIONS.find((id) => !used.has(id)) ?? 'z';
}

function freshPair({ minds, net }: World): string {
  const used = new Set<string | null | undefined>();
  for (const { value } of minds) {
    used.add(value.record.pairId).add(value.peer?.pairId);
    for (const id of value.record.dissolved) used.add(id);
  }
  for (const message of net.value.messages) if ('pairId' in message) used.add(message.pairId);
  return PAIRS.find((id) => !used.has(id)) ?? 'pair-6';
}

/** An operator gives an order to a running server; refused orders change nothing. */
export function order(model: Model, world: World, side: Side, event: Timeless): World | null {
  if (world.bodies[side].value.power !== 'on') return null;
  const { world: after, outcome } = model.feed(world, side, event);
  return outcome.decision.rule === null && model.broken === null ? null : after;
}

/** Orders a registration. */
export function register(model: Model, world: World, failoverType: FailoverType): World | null {
  const operationId = freshOperation(world);
  return order(model, world, 0, { type: 'operator-register', operationId, pairId: freshPair(world), failoverType });
}

type Order = (model: Model, world: World) => World | null;

const NAMED: readonly (readonly [string, Order])[] = [
  ['operator registers the pair, manual', (model, world) => register(model, world, 'manual')],
  ['operator registers the pair, automatic', (model, world) => register(model, world, 'automatic')],
  ...[false, true].flatMap((acceptDataLoss): (readonly [string, Order])[] => {
    const words = acceptDataLoss ? ', accepting data loss' : '';
    return [
      [
        `operator orders the failover${words}`,
        (model, world) =>
          order(model, world, 1, { type: 'operator-failover', operationId: freshOperation(world), acceptDataLoss }),
      ],
      [
        `operator has the primary act alone${words}`,
        (model, world) =>
          order(model, world, 0, {
            type: 'operator-activate-alone',
            operationId: freshOperation(world),
            acceptDataLoss,
          }),
      ],
    ];
  }),
  [
    'operator orders the forced failover',
    (model, world) => order(model, world, 1, { type: 'operator-forced-failover', operationId: freshOperation(world) }),
  ],
  ...[false, true].map((force): readonly [string, Order] => [
    `operator orders the failback${force ? ' at any price' : ''}`,
    (model, world) =>
      order(model, world, 1, {
        type: 'operator-failback',
        operationId: freshOperation(world),
        force,
        acceptDataLoss: force,
      }),
  ]),
  ...SIDES.map((side): readonly [string, Order] => [
    `operator removes the pair on the ${side === 0 ? 'primary' : 'secondary'}`,
    (model, world) =>
      order(model, world, side, {
        type: 'operator-remove',
        operationId: freshOperation(world),
        confirmed: true,
        acceptDataLoss: true,
      }),
  ]),
  ...SIDES.map((side): readonly [string, Order] => [
    `operator cancels on the ${side === 0 ? 'primary' : 'secondary'}`,
    (model, world) => order(model, world, side, { type: 'operator-cancel' }),
  ]),
  ...(['manual', 'automatic', 'observe'] as const).map((failoverType): readonly [string, Order] => [
    `operator sets the failover type to ${failoverType}`,
    (model, world) =>
      world.minds[0].value.record.failoverType === failoverType
        ? null
        : order(model, world, 0, { type: 'operator-failover-type', failoverType }),
  ]),
];

/** Everything that an operator can order. Each counts. */
export const ORDERS: readonly Action[] = NAMED.map(([name, apply]) => ({ name, kind: 'order', apply }));

/** Automatic operations name their decision; in the model their id is one that nobody knows yet. */
export function nameOperations(model: Model, world: World): World {
  let named = world;
  for (const side of SIDES) {
    const mind = named.minds[side].value;
    const id = mind.record.operation?.id;
    if (id === undefined || !id.includes(':')) continue;
    const fresh = freshOperation(named);
    const text = JSON.stringify(mind).replaceAll(JSON.stringify(id), JSON.stringify(fresh));
    named = model.withMind(named, side, model.minds.intern(JSON.parse(text)));
  }
  return named;
}
