/** Runs that follow one another: on a schedule, and sooner when one is asked for. */
export class RunQueue {
  private timer: NodeJS.Timeout | null = null;
  private running: Promise<void> | null = null;
  private next: Promise<void> | null = null;
  private nextIsFresh = false;

  /**
   * @param run one run; never rejects. `isFresh`: everything is looked at
   * @param waitMs time from the end of a run to the next; null: there is none
   */
  constructor(
    private readonly run: (isFresh: boolean) => Promise<void>,
    private readonly waitMs: () => number | null,
  ) {}

  /** Runs once more from now on; what is under way is finished first. */
  ask(isFresh: boolean): Promise<void> {
    if (this.running === null) return this.begin(isFresh);
    this.nextIsFresh ||= isFresh;
    this.next ??= this.running.then(() => {
      const isNextFresh = this.nextIsFresh;
      this.next = null;
      this.nextIsFresh = false;
      return this.begin(isNextFresh);
    });
    return this.next;
  }

  /** The next run by the schedule is after this time. */
  plan(ms: number): void {
    this.stop();
    this.timer = setTimeout(() => void this.ask(true), ms);
  }

  /** No run by the schedule is to come. */
  stop(): void {
    if (this.timer) clearTimeout(this.timer);
    this.timer = null;
  }

  /** Resolves when nothing is under way. */
  async settled(): Promise<void> {
    await this.running;
  }

  private begin(isFresh: boolean): Promise<void> {
    this.stop();
    this.running = this.run(isFresh).finally(() => {
      this.running = null;
      const waitMs = this.waitMs();
      // a turn may have asked for one at once
      if (this.next === null && this.timer === null && waitMs !== null) this.plan(waitMs);
    });
    return this.running;
  }
}
