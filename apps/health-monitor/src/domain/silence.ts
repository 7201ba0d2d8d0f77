/**
 * A silence of the peer, as heartbeat states it: each interval "lost", and right behind that what the peer's URL said. "Lost" voids what
 * was said before, so within one silence it would take a confirmation back for a moment each interval.
 */
export class Silence {
  private confirmedSinceMs: number | null = null;

  /** @param intervalMs between two heartbeats; a silence that begins so much later is another one */
  constructor(private readonly intervalMs: number) {}

  /** The peer was heard, or its URL answers. */
  ended(): void {
    this.confirmedSinceMs = null;
  }

  /** The URL does not answer either. `silentMs`: for how long the peer is silent at `nowMs`. */
  confirmed(silentMs: number, nowMs: number): void {
    this.confirmedSinceMs = nowMs - silentMs;
  }

  /** Whether "lost" says nothing new: the loss is confirmed, and it is still the same silence. */
  isConfirmed(silentMs: number, nowMs: number): boolean {
    return this.confirmedSinceMs !== null && nowMs - silentMs < this.confirmedSinceMs + this.intervalMs;
  }
}
