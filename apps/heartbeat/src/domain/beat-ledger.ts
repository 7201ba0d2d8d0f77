/**
 * Which beats are under way, and which answer is a sign of life: only one that carries a nonce sent at most the deadline ago on
 * our own monotonic clock. NATS hands out messages many seconds old after a freeze, so its delivery proves nothing.
 */
export class BeatLedger {
  private readonly open = new Map<string, number>();
  private lastSequence = 0;

  /**
   * @param deadlineMs how old a beat may be when its answer comes
   * @param limit how many beats may be under way at once
   */
  constructor(
    readonly deadlineMs: number,
    private readonly limit: number,
  ) {}

  /** Enters a beat. Null when `limit` beats are under way already. */
  send(nonce: string, atMs: number): { readonly nonce: string; readonly sequence: number } | null {
    for (const [old, sentAtMs] of this.open) if (atMs - sentAtMs > this.deadlineMs) this.open.delete(old);
    if (this.open.size >= this.limit) return null;
    this.open.set(nonce, atMs);
    this.lastSequence += 1;
    return { nonce, sequence: this.lastSequence };
  }

  /** The round-trip time in ms when the answer counts, else null. Each nonce counts once. */
  answer(nonce: string, atMs: number): number | null {
    const sentAtMs = this.open.get(nonce);
    if (sentAtMs === undefined) return null;
    this.open.delete(nonce);
    const roundTripMs = atMs - sentAtMs;
    return roundTripMs >= 0 && roundTripMs <= this.deadlineMs ? roundTripMs : null;
  }

  /** The beat has failed or its time is over. */
  forget(nonce: string): void {
    this.open.delete(nonce);
  }

  /** Another peer, another book: answers to what was sent before no longer count. */
  clear(): void {
    this.open.clear();
  }
}

/** An answer may take one interval; with very short intervals at least this long. */
export const BEAT_DEADLINE_MIN_MS = 300;

/** The deadline of one beat, in ms. */
export function beatDeadlineMs(intervalMs: number): number {
  return Math.max(intervalMs, BEAT_DEADLINE_MIN_MS);
}
