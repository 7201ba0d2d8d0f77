/** Does one piece of work after the other. What fails concerns whoever asked for it, not what comes behind. */
export class Turns {
  private last: Promise<unknown> = Promise.resolve();
  private underWay = 0;

  /** Nothing is under way, and nothing waits. */
  get isIdle(): boolean {
    return this.underWay === 0;
  }

  take<T>(work: () => Promise<T>): Promise<T> {
    this.underWay += 1;
    const done = this.last.then(work).finally(() => {
      this.underWay -= 1;
    });
    this.last = done.catch(() => undefined);
    return done;
  }

  /** Resolves when all has been done that was asked for until now. */
  async settled(): Promise<void> {
    await this.last;
  }
}
