/** Spreads bytes over time, so that not more than so many are sent each second. */
export class Throttle {
  private freeAtMs = Number.NEGATIVE_INFINITY;

  constructor(private readonly bytesPerSecond: number) {}

  /** Takes the next place for so many bytes. Returns how long to wait before they are sent, in ms. `nowMs`: monotonic. */
  waitMs(bytes: number, nowMs: number): number {
    const atMs = Math.max(nowMs, this.freeAtMs);
    this.freeAtMs = atMs + (bytes / this.bytesPerSecond) * 1000;
    return atMs - nowMs;
  }
}
