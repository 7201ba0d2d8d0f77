import type { ChangeName } from '../changes.ts';
import type { EffectKind } from '../effects.ts';
import type { HaEventType } from '../events.ts';
import type { GuardName } from '../guards.ts';
import type { HaState } from '../states.ts';

/** One row of the state machine: plain data. Rows are tried top to bottom, the first whose guards all hold wins. */
export interface Rule {
  /** Stable and sparse; logs, events and tests cite it. */
  readonly id: string;
  readonly from: readonly HaState[];
  readonly on: readonly HaEventType[];
  /** All must hold. */
  readonly when: readonly GuardName[];
  /** The next state; `null` stays. */
  readonly to: HaState | null;
  /** Changes of the record, in order, before the effects are planned. */
  readonly change?: readonly ChangeName[];
  /** Effects in order; they supersede those in flight. */
  readonly effects?: readonly EffectKind[];
  /** The sentence that operators read. */
  readonly says: string;
  /** Heading of the specification, or the decision that settles it. */
  readonly spec: string;
}
