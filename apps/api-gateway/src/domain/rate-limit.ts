const SOURCES_MAX = 10_000;

/** At most `burst` requests at once from one source, refilled at `perSecond`. Times are monotonic milliseconds. */
export class RateLimit {
  private readonly levels = new Map<string, { tokens: number; atMs: number }>();

  constructor(
    private readonly burst: number,
    private readonly perSecond: number,
  ) {}

  /** Takes one request; false when the source has to wait. */
  take(source: string, atMs: number): boolean {
    const before = this.levels.get(source) ?? { tokens: this.burst, atMs };
    const tokens = Math.min(this.burst, before.tokens + ((atMs - before.atMs) / 1000) * this.perSecond);
    const isAllowed = tokens >= 1;
    this.levels.delete(source);
    this.levels.set(source, { tokens: isAllowed ? tokens - 1 : tokens, atMs });
    if (this.levels.size > SOURCES_MAX) this.levels.delete(this.levels.keys().next().value as string);
    return isAllowed;
  }
}
