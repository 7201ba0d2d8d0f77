import type { EffectKind } from '@understudy/ha-core';
import type { SeededRandom } from './seeded-random.ts';

/** How hostile the surroundings of the pair are at the moment. */
export interface Adversity {
  /** A message between the servers is lost, or arrives twice. */
  readonly lossProbability: number;
  readonly duplicateProbability: number;
  /** Longest way of a message, in milliseconds: each takes its own time, so that they overtake one another. */
  readonly messageMs: number;
  /** A step fails, before or after it has done its work. */
  readonly failureProbability: number;
  /** Longest time of a step. */
  readonly effectMs: number;
  /** A step of the database makes no progress any more. */
  readonly hangProbability: number;
  /** A look at a database does not tell its position. */
  readonly blindProbability: number;
  /** Longest time until a record is durable. */
  readonly journalMs: number;
  /** The standby receives nothing although it is connected. */
  readonly stalled: boolean;
}

/** Nothing goes wrong, and nothing takes time. */
export const CALM: Adversity = {
  lossProbability: 0,
  duplicateProbability: 0,
  messageMs: 0,
  failureProbability: 0,
  effectMs: 0,
  hangProbability: 0,
  blindProbability: 0,
  journalMs: 0,
  stalled: false,
};

/** Surroundings as they are for a while. */
export function randomAdversity(random: SeededRandom): Adversity {
  return {
    lossProbability: random.pick([0, 0, 0.1, 0.5]),
    duplicateProbability: random.pick([0, 0, 0.2]),
    messageMs: random.pick([0, 20, 20, 400]),
    failureProbability: random.pick([0, 0, 0.05, 0.3]),
    effectMs: random.pick([0, 0, 300, 4000]),
    hangProbability: random.pick([0, 0, 0, 0.1]),
    blindProbability: random.pick([0, 0, 0.3, 1]),
    journalMs: random.pick([0, 5, 5, 100]),
    stalled: random.chance(0.2),
  };
}

/** How a step goes. */
export interface Course {
  /** How long it takes; more than two minutes: it makes no progress. */
  readonly ms: number;
  /** It does its work at the beginning of that time, otherwise at the end. */
  readonly worksAtOnce: boolean;
  /** Code of its failure, and whether it has done its work all the same. */
  readonly failure: { readonly code: string; readonly hasWorked: boolean } | null;
}

/** That closing takes no longer than that is what the time of a lease is reckoned with. */
const FENCE_MS = 300;
/** Longer than anybody waits for progress. */
export const HANG_MS = 150_000;

/** How a step goes in these surroundings. */
export function courseOf(kind: EffectKind, adversity: Adversity, random: SeededRandom): Course {
  if (kind === 'fence') return { ms: random.below(FENCE_MS), worksAtOnce: false, failure: null };
  if (kind.endsWith('database') && random.chance(adversity.hangProbability))
    return { ms: HANG_MS, worksAtOnce: true, failure: { code: 'stalled', hasWorked: random.chance(0.5) } };
  return {
    ms: random.below(adversity.effectMs),
    worksAtOnce: random.chance(0.5),
    failure: random.chance(adversity.failureProbability)
      ? { code: failureCode(kind, random), hasWorked: random.chance(0.5) }
      : null,
  };
}

function failureCode(kind: EffectKind, random: SeededRandom): string {
  return kind === 'follow-peer' ? random.pick(['start-failed', 'copy-failed']) : 'injected';
}
