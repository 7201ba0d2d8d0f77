/** How long silence is borne. */
export interface WatchTiming {
  /** From one question to the next; the answer may take as long. */
  readonly roundMs: number;
  readonly missedLimit: number;
  /** A process that was just started is not asked: it may not be listening yet. */
  readonly graceMs: number;
}

const LONGEST_GRACE_MS = 300_000;

/**
 * When the silence of a part is too long. On a machine that is so busy that a part cannot answer in time after its start, another start
 * would take no less: each process that is given up before it has ever answered leaves the next one twice the time.
 */
export class Patience {
  private pid: number | null = null;
  private missed = 0;
  private hasAnswered = false;
  private graceMs: number;

  constructor(private readonly timing: WatchTiming) {
    this.graceMs = timing.graceMs;
  }

  /** Whether the process, which runs for so long, is to be asked now. */
  asks(pid: number | null, upMs: number): boolean {
    if (pid !== this.pid) {
      this.pid = pid;
      this.missed = 0;
      this.hasAnswered = false;
    }
    return upMs >= this.graceMs;
  }

  /** Takes in whether it has answered; true: it is to be replaced. */
  isOver(answered: boolean): boolean {
    if (answered) {
      this.missed = 0;
      this.hasAnswered = true;
      this.graceMs = this.timing.graceMs;
      return false;
    }
    this.missed += 1;
    if (this.missed < this.timing.missedLimit) return false;
    this.missed = 0;
    if (!this.hasAnswered) this.graceMs = Math.min(this.graceMs * 2, LONGEST_GRACE_MS);
    return true;
  }
}
