/** What a service says about its own health. `starting` until its start has finished; a service may say `degraded` and why. */
export class HealthReport {
  #state: 'starting' | 'ready' | 'degraded' = 'starting';
  #reason = 'starting';

  get state(): 'starting' | 'ready' | 'degraded' {
    return this.#state;
  }

  /** Why it is not ready, one sentence; empty when it is. */
  get reason(): string {
    return this.#reason;
  }

  /** It does its work. */
  ready(): void {
    this.#state = 'ready';
    this.#reason = '';
  }

  /** It runs but cannot do all of its work; `reason` is one sentence for people. */
  degraded(reason: string): void {
    this.#state = 'degraded';
    this.#reason = reason;
  }
}
