/** How often a process may be started again. */
export interface RestartPolicy {
  /** So many restarts within `withinMs` are allowed. */
  readonly attempts: number;
  readonly withinMs: number;
  /** Pause before a restart. */
  readonly backoffMs: number;
}

/** Pause between attempts to start a process whose restarts are used up. */
export const EXHAUSTED_PAUSE_MS = 10_000;

/** What follows from the end of a process. `failures`: times of earlier ends that still count, oldest first. */
export interface RestartDecision {
  readonly failures: readonly number[];
  readonly exhausted: boolean;
  readonly pauseMs: number;
}

/** Decides about a restart after a process has ended at `atMs`. Pure. */
export function afterEnd(policy: RestartPolicy, failures: readonly number[], atMs: number): RestartDecision {
  const counted = [...failures.filter((failedAtMs) => atMs - failedAtMs < policy.withinMs), atMs];
  const exhausted = counted.length > policy.attempts;
  return { failures: counted, exhausted, pauseMs: exhausted ? EXHAUSTED_PAUSE_MS : policy.backoffMs };
}
