/** How often PostgreSQL may fail before it counts as impossible to keep running, and how fast it is tried again. */
export interface RestartPolicyLimits {
  readonly attempts: number;
  readonly withinMs: number;
  readonly slowRetryMs: number;
}

/** Three failures within a minute exhaust the policy; trying goes on slowly, because giving up would be a dead end. */
export const RESTART_LIMITS: RestartPolicyLimits = { attempts: 3, withinMs: 60_000, slowRetryMs: 5_000 };

/** Counts unexpected ends and failed starts of PostgreSQL. Times are monotonic milliseconds. */
export class RestartPolicy {
  private failures: number[] = [];

  constructor(private readonly limits: RestartPolicyLimits = RESTART_LIMITS) {}

  /** Notes a failure; returns how long to wait before the next attempt. */
  failed(nowMs: number): number {
    this.failures = [...this.failures, nowMs].slice(-this.limits.attempts);
    return this.isExhausted(nowMs) ? this.limits.slowRetryMs : 0;
  }

  /** Too many failures in the window that ends now. Heals by itself when PostgreSQL stays up. */
  isExhausted(nowMs: number): boolean {
    const recent = this.failures.filter((atMs) => nowMs - atMs < this.limits.withinMs);
    return recent.length >= this.limits.attempts;
  }

  /** A task took over: what failed before says nothing about what comes. */
  reset(): void {
    this.failures = [];
  }
}
