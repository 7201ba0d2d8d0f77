import type { FailoverType } from '@understudy/ha-core';
import { ACTIONS } from './actions.ts';
import { JUMPS_MS, LEASE } from './clock-classes.ts';
import type { Model } from './model.ts';
import { nameOperations, register } from './orders.ts';
import { pass } from './passing.ts';
import { Settling } from './settle.ts';
import { hasLease } from './witness.ts';
import type { World } from './world.ts';

const GATEWAY = { kind: 'gateway' } as const;

const WITHOUT = [
  'installed',
  'protected-manual',
  'protected-automatic',
  'swapped-manual',
  'swapped-automatic',
] as const;
const PROTECTED = WITHOUT.slice(1) as Exclude<(typeof WITHOUT)[number], 'installed'>[];

/** Where an exploration can begin: without a witness, with the lease of one, with a router that answers. */
export const GROUPS = {
  'no witness': WITHOUT,
  'a witness with a lease': WITHOUT.map((name) => `${name}-lease` as const),
  'a gateway': PROTECTED.map((name) => `${name}-gateway` as const),
} as const;

/** The same in one list. */
export const BEGINNINGS = Object.values(GROUPS).flat();

/** Name of a beginning. */
export type Beginning = (typeof BEGINNINGS)[number];

/** The world of a beginning, reached by the rules themselves without a fault. */
export function beginning(model: Model, name: Beginning): World {
  const words = name.split('-');
  const type: FailoverType = words.includes('automatic') ? 'automatic' : 'manual';
  const witness = words.includes('lease') ? LEASE : words.includes('gateway') ? GATEWAY : null;
  const installed = settled(model, model.installed(witness));
  if (words.includes('installed')) return installed;
  model.begin();
  const protectedPair = settled(model, register(model, installed, type) ?? installed);
  if (words.includes('protected')) return withLeaseKept(model, protectedPair);
  const order = ACTIONS.find(({ name: action }) => action === 'operator orders the forced failover');
  return withLeaseKept(model, settled(model, order?.apply(model, protectedPair) ?? protectedPair));
}

function settled(model: Model, world: World): World {
  const path: World[] = [];
  new Settling(model).ending(model.normal(nameOperations(model, world)), path);
  return path.at(-1) ?? world;
}

/** A witness that has just been asked for the first time gives its lease after the time of one. */
function withLeaseKept(model: Model, world: World): World {
  let now = world;
  for (let step = 0; hasLease(world) && step < 4; step++) now = model.normal(pass(model, now, JUMPS_MS[0]));
  return now;
}
