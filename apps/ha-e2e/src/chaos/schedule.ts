import { SeededRandom } from '@understudy/simulation';
import { type FaultKind, RUNNER, type Side } from './fault-kinds.ts';

/** One fault of a group. Times count from the begin of the group. */
export interface ScheduledFault {
  readonly kind: FaultKind;
  readonly on: Side;
  readonly beginMs: number;
  readonly endMs: number;
}

/** What happens between two times of rest: one fault, or two that overlap. */
export interface FaultGroup {
  readonly faults: readonly ScheduledFault[];
  /** Time at rest before it. */
  readonly calmMs: number;
  /** Whether an operator gives the role back to the primary first, where the secondary has it. */
  readonly givesRoleBack: boolean;
}

const TWO_AT_ONCE = 0.4;
const GIVES_ROLE_BACK = 0.75;

/**
 * The groups of faults that a seed stands for, without an end. Kinds are dealt like cards: each comes once before one comes again.
 * The same seed and kinds give the same groups, however many are taken.
 */
export function* faultGroups(seed: number, kinds: readonly FaultKind[]): Generator<FaultGroup, never> {
  const random = new SeededRandom(seed);
  let cards: FaultKind[] = [];
  const deal = (): FaultKind => {
    if (cards.length === 0) cards = shuffled(kinds, random);
    return cards.pop() as FaultKind;
  };
  const fault = (kind: FaultKind, beginMs: number): ScheduledFault => {
    const [shortest, longest] = kind.seconds;
    const durationMs = Math.round((shortest + random.next() * (longest - shortest)) * 1000);
    const on = kind.on ?? (random.chance(0.65) ? 'active' : 'standby');
    return { kind, on, beginMs, endMs: beginMs + durationMs };
  };
  for (;;) {
    const calmMs = Math.round(1000 + random.next() * 4000);
    const givesRoleBack = random.chance(GIVES_ROLE_BACK);
    const first = fault(deal(), 0);
    // One that mends itself is still being mended some seconds later.
    const span = Math.max(first.endMs, 3000);
    const second = random.chance(TWO_AT_ONCE) ? fault(deal(), Math.round(random.next() * span)) : undefined;
    if (second === undefined) yield { faults: [first], calmMs, givesRoleBack };
    else if (leavesNobodyToClose(first, second)) {
      yield { faults: [first], calmMs, givesRoleBack };
      yield { faults: [{ ...second, beginMs: 0, endMs: second.endMs - second.beginMs }], calmMs, givesRoleBack };
    } else yield { faults: [first, second], calmMs, givesRoleBack };
  }
}

/**
 * A server whose manager and runner both stand still cannot close itself, as one that stands still as a whole: nothing is learnt
 * from it. Decision: docs/decisions/0011-witness.md, limits.
 */
function leavesNobodyToClose(first: ScheduledFault, second: ScheduledFault): boolean {
  const parts = [first, second].filter(({ kind }) => kind.act === 'freeze').map(({ kind }) => kind.part);
  return parts.includes(RUNNER) && parts.some((part) => part === 'health-monitor' || part === 'composed');
}

function shuffled<T>(items: readonly T[], random: SeededRandom): T[] {
  const rest = [...items];
  const result: T[] = [];
  while (rest.length > 0) result.push(...rest.splice(Math.floor(random.next() * rest.length), 1));
  return result;
}

/** A group in one line. */
export function describeGroup({ faults }: FaultGroup): string {
  return faults
    .map(({ kind, on, beginMs, endMs }) => {
      const what = targetsServer(kind) ? `${kind.name} (${on})` : kind.name;
      const until = endMs > beginMs ? ` for ${seconds(endMs - beginMs)}` : '';
      return `${beginMs > 0 ? `after ${seconds(beginMs)} ` : ''}${what}${until}`;
    })
    .join(', ');
}

/** False for what is done to the witness or between the servers. */
export function targetsServer({ act }: FaultKind): boolean {
  return !act.endsWith('-witness') && act !== 'part-servers' && act !== 'switch' && act !== 'maintenance';
}

function seconds(milliseconds: number): string {
  return `${(milliseconds / 1000).toFixed(1)} s`;
}
