/** A look at the WAL kept for an absent peer. Times are monotonic milliseconds. */
export interface RetentionSample {
  readonly atMs: number;
  readonly position: bigint;
  /** WAL that can still be written before the slot is lost; null: the server does not say. */
  readonly safeBytes: bigint | null;
}

const WINDOW_MS = 600_000;

/**
 * How long an absent peer can still come back without a full copy: the nearer of the configured retention and the moment when the
 * WAL kept for it outgrows its limit, at the rate of the last ten minutes.
 */
export class RetentionEstimate {
  private samples: RetentionSample[] = [];
  private absentSinceMs: number | null = null;

  constructor(private readonly retentionSeconds: number) {}

  /** Seconds left; null while the peer streams. */
  observe(sample: RetentionSample, isStreaming: boolean): number | null {
    const last = this.samples.at(-1);
    // One sample in ten seconds is enough for a rate, and keeps the list short.
    if (!last || sample.atMs - last.atMs >= 10_000) {
      this.samples = [...this.samples.filter(({ atMs }) => sample.atMs - atMs <= WINDOW_MS), sample];
    }
    if (isStreaming) {
      this.absentSinceMs = null;
      return null;
    }
    this.absentSinceMs ??= sample.atMs;
    const byTime = Math.max(0, this.retentionSeconds - (sample.atMs - this.absentSinceMs) / 1000);
    const first = this.samples[0] as RetentionSample;
    const elapsedSeconds = (sample.atMs - first.atMs) / 1000;
    const written = Number(sample.position - first.position);
    if (sample.safeBytes === null || elapsedSeconds < 10 || written <= 0) return Math.round(byTime);
    return Math.round(Math.min(byTime, Math.max(0, Number(sample.safeBytes) / (written / elapsedSeconds))));
  }
}
