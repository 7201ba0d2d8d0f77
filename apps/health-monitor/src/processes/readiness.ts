/** Those who wait for a process to do its work. */
export class Readiness {
  private readonly waiting = new Set<{ reached(): void; missed(reason: string): void }>();

  /** Resolves when it does; rejects with the process's name and the reason when it will not, or has not within `limitMs`. */
  wait(name: string, limitMs: number): Promise<void> {
    return new Promise((resolve, reject) => {
      const over = () => {
        clearTimeout(timer);
        this.waiting.delete(waiter);
      };
      const waiter = {
        reached: () => {
          over();
          resolve();
        },
        missed: (reason: string) => {
          over();
          reject(new Error(`${name}: ${reason}`));
        },
      };
      const timer = setTimeout(() => waiter.missed(`it is not ready within ${limitMs / 1000} s`), limitMs);
      this.waiting.add(waiter);
    });
  }

  /** It does its work. */
  reached(): void {
    for (const waiter of [...this.waiting]) waiter.reached();
  }

  /** It will not, for that reason. */
  missed(reason: string): void {
    for (const waiter of [...this.waiting]) waiter.missed(reason);
  }
}
