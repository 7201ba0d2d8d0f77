import type { FailoverType } from '@understudy/ha-core';
import { ACTIONS } from './actions.ts';
import type { Model } from './model.ts';
import { nameOperations, register } from './orders.ts';
import { Settling } from './settle.ts';
import type { World } from './world.ts';

/** Where an exploration can begin. */
export const BEGINNINGS = [
  'installed',
  'protected-manual',
  'protected-automatic',
  'swapped-manual',
  'swapped-automatic',
] as const;

/** Name of a beginning. */
export type Beginning = (typeof BEGINNINGS)[number];

/** The world of a beginning, reached by the rules themselves without a fault. */
export function beginning(model: Model, name: Beginning): World {
  const installed = settled(model, model.installed());
  if (name === 'installed') return installed;
  const type: FailoverType = name.endsWith('manual') ? 'manual' : 'automatic';
  model.begin();
  const protectedPair = settled(model, register(model, installed, type) ?? installed);
  if (name.startsWith('protected')) return protectedPair;
  const order = ACTIONS.find(({ name: action }) => action === 'operator orders the forced failover');
  return settled(model, order?.apply(model, protectedPair) ?? protectedPair);
}

function settled(model: Model, world: World): World {
  const path: World[] = [];
  new Settling(model).ending(model.normal(nameOperations(model, world)), path);
  return path.at(-1) ?? world;
}
