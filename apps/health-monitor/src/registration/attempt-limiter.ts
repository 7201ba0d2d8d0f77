/** Delays after wrong keys. */
export interface AttemptLimits {
  /** Wrong keys that cost nothing. */
  readonly freeAttempts: number;
  /** The first delay; each further wrong key doubles it. */
  readonly firstDelayMs: number;
  readonly longestDelayMs: number;
}

const PER_SOURCE: AttemptLimits = { freeAttempts: 2, firstDelayMs: 1000, longestDelayMs: 300_000 };
/** Shorter at the longest: an attacker must not be able to lock the owner out for good. */
const IN_TOTAL: AttemptLimits = { freeAttempts: 10, firstDelayMs: 1000, longestDelayMs: 30_000 };
/** So long without a wrong key and all is forgotten. */
const FORGET_AFTER_MS = 900_000;
const SOURCES_MAX = 1000;

interface Tally {
  readonly wrong: number;
  readonly lastAtMs: number;
}

/** Makes guessing an authentication key slow: a growing delay after wrong keys, per source and in total. */
export class AttemptLimiter {
  private readonly sources = new Map<string, Tally>();
  private total: Tally = { wrong: 0, lastAtMs: 0 };

  constructor(
    private readonly perSource: AttemptLimits = PER_SOURCE,
    private readonly inTotal: AttemptLimits = IN_TOTAL,
  ) {}

  /** How many ms this source has to wait before it may try again; 0 = it may. Null: not known, only the total counts. */
  waitMs(source: string | null, atMs: number): number {
    const own = source === null ? 0 : waitOf(this.sources.get(source), this.perSource, atMs);
    return Math.max(own, waitOf(this.total, this.inTotal, atMs));
  }

  /** A wrong key came from there. */
  wrong(source: string | null, atMs: number): void {
    this.total = grown(this.total, atMs);
    if (source === null) return;
    const tally = grown(this.sources.get(source), atMs);
    this.sources.delete(source); // enters again as the newest
    this.sources.set(source, tally);
    if (this.sources.size > SOURCES_MAX) {
      for (const oldest of this.sources.keys()) {
        this.sources.delete(oldest);
        break;
      }
    }
  }

  /** The right key came from there. The total stays: others may still be guessing. */
  right(source: string | null): void {
    if (source !== null) this.sources.delete(source);
  }
}

function grown(tally: Tally | undefined, atMs: number): Tally {
  const wrong = tally && atMs - tally.lastAtMs < FORGET_AFTER_MS ? tally.wrong : 0;
  return { wrong: wrong + 1, lastAtMs: atMs };
}

function waitOf(tally: Tally | undefined, limits: AttemptLimits, atMs: number): number {
  if (!tally || tally.wrong <= limits.freeAttempts) return 0;
  const delayMs = Math.min(limits.firstDelayMs * 2 ** (tally.wrong - limits.freeAttempts - 1), limits.longestDelayMs);
  return Math.max(0, Math.ceil(tally.lastAtMs + delayMs - atMs));
}
