/** How often a process may be started again. */
export interface RestartPolicy {
  /** So many restarts within `withinMs` are allowed. */
  readonly attempts: number;
  readonly withinMs: number;
  /** Pause before a restart. */
  readonly backoffMs: number;
}

/** Pause between attempts to start a process whose restarts are used up: it may recover by itself. */
export const EXHAUSTED_PAUSE_MS = 10_000;

/** What follows from the end of a process. `failures`: times of the ends that count, oldest first. */
export interface RestartDecision {
  readonly failures: readonly number[];
  readonly exhausted: boolean;
  readonly pauseMs: number;
}

/**
 * Decides about a restart after a process has ended at `atMs`. Pure.
 *
 * @param failures the ends that counted so far
 * @param wasReady whether it had done its work in between. If it never did, earlier failures do not expire: a process that takes a
 * minute to fail would otherwise be started for ever.
 */
export function afterEnd(
  policy: RestartPolicy,
  failures: readonly number[],
  atMs: number,
  wasReady: boolean,
): RestartDecision {
  const still = wasReady ? failures.filter((failedAtMs) => atMs - failedAtMs < policy.withinMs) : failures;
  // More are not needed to know that the restarts are used up.
  const counted = [...still, atMs].slice(-(policy.attempts + 1));
  const exhausted = counted.length > policy.attempts;
  return { failures: counted, exhausted, pauseMs: exhausted ? EXHAUSTED_PAUSE_MS : policy.backoffMs };
}
