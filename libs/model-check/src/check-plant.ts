import { beginning } from './beginnings.ts';
import { Exploration } from './explore.ts';
import type { BrokenLaw } from './laws-of-decisions.ts';
import { Model } from './model.ts';
import type { Plant } from './plant.ts';
import { replay } from './trace.ts';

const WORLDS_MAX = 300_000;

/** The law by which a planted fault is caught; null when it is not. With steps, only these are looked at; otherwise everything near its beginning. */
export function checkPlant({ machine, from, faults, law, steps, writes = 1 }: Plant): BrokenLaw | null {
  const model = new Model(machine, writes);
  if (steps !== undefined) return replay(model, { from, writes, actions: steps, breaks: null }).broken;
  return new Exploration(model, {
    faults,
    worlds: WORLDS_MAX,
    grain: 'coarse',
    settleEvery: law === '7' ? 1 : 0,
  }).run([beginning(model, from)]).violation;
}
