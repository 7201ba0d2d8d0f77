import type { Model } from './model.ts';
import { ROLES, SIDES, type Side, type World } from './world.ts';

/** Something that can happen to the pair. */
export interface Action {
  /** As it stands in a trace and in a scenario file. */
  readonly name: string;
  /** `course`: the world takes its course; `part`: the same in smaller steps; `fault` and `order` are counted. */
  readonly kind: 'course' | 'part' | 'fault' | 'order';
  /** The world afterwards; null when it cannot happen now. */
  readonly apply: (model: Model, world: World) => World | null;
}

/** At most so many messages are under way. */
export const MESSAGES_MAX = 3;

/** What can happen to one server. */
export type OfSide = (model: Model, world: World, side: Side) => World | null;

/** The same for either server. */
export function ofSides(named: readonly (readonly [string, OfSide])[], kind: Action['kind']): readonly Action[] {
  return SIDES.flatMap((side) =>
    named.map(
      ([what, apply]): Action => ({
        name: `${ROLES[side]} ${what}`,
        kind,
        apply: (model, world) => apply(model, world, side),
      }),
    ),
  );
}
