import { PSEUDO_STATE } from '../real-pair/state-history.ts';
import { type ProcedureId, STATE_SEQUENCES, type StateSequences } from './state-sequences.ts';

/**
 * Tells how what was observed differs from a procedure of the specification; an empty list means that it conforms: per server
 * the observed states contain the procedure's states in this order with no other state in between.
 *
 * @param observed per server the states in the order in which they were entered, the one at the beginning first
 */
export function differencesFrom(
  procedure: ProcedureId,
  observed: { readonly primary: readonly string[]; readonly secondary: readonly string[] },
): string[] {
  const sequences: StateSequences = STATE_SEQUENCES[procedure];
  return (['primary', 'secondary'] as const).flatMap((server) => {
    const accepted = sequences[server];
    const states = withoutRepeats(observed[server].filter((state) => state !== PSEUDO_STATE));
    if (accepted.length === 0 || accepted.some((sequence) => containsRun(states, sequence))) return [];
    const expected = accepted.map((sequence) => sequence.join(' > ')).join('  or  ');
    return [`${procedure} ${server}: expected ${expected}; observed ${states.join(' > ')}`];
  });
}

/** The list with neighbours that are equal made one. */
export function withoutRepeats<T>(list: readonly T[]): T[] {
  return list.filter((item, index) => index === 0 || item !== list[index - 1]);
}

function containsRun(list: readonly string[], run: readonly string[]): boolean {
  return list.some((_, start) => run.every((item, offset) => list[start + offset] === item));
}
