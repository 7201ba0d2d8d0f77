/** How the wait grows: 0.5 s after the first failure, doubled by each further one, up to this. */
const FIRST_WAIT_MS = 500;
const FORGET_AFTER_MS = 15 * 60_000;
const ENTRIES_MAX = 10_000;

interface Failures {
  count: number;
  lastAtMs: number;
}

/**
 * Failed attempts per name (a source or an account), so that guessing gets slower and slower. Times are monotonic milliseconds.
 * Bounded: the names that failed longest ago are forgotten first.
 */
export class FailedAttempts {
  private readonly failures = new Map<string, Failures>();

  /** `waitMsMax`: the longest wait between two attempts. */
  constructor(private readonly waitMsMax: number) {}

  /** How long the next attempt has to wait; 0 when there was no failure lately. */
  waitMs(name: string, atMs: number): number {
    const entry = this.failures.get(name);
    if (!entry) return 0;
    if (atMs - entry.lastAtMs > FORGET_AFTER_MS) {
      this.failures.delete(name);
      return 0;
    }
    const wait = Math.min(FIRST_WAIT_MS * 2 ** (entry.count - 1), this.waitMsMax);
    return Math.max(0, entry.lastAtMs + wait - atMs);
  }

  failed(name: string, atMs: number): void {
    const count = (this.failures.get(name)?.count ?? 0) + 1;
    this.failures.delete(name);
    this.failures.set(name, { count, lastAtMs: atMs });
    if (this.failures.size > ENTRIES_MAX) this.failures.delete(this.failures.keys().next().value as string);
  }

  succeeded(name: string): void {
    this.failures.delete(name);
  }
}
