import type { VirtualClock } from './virtual-clock.ts';

/** What can have timers of its own: the clock, and every life. */
interface Timers {
  readonly nowMs: number;
  at(atMs: number, happen: () => void): void;
}

/**
 * A machine that is switched on, or a process on it: its timers stand still while it is frozen, and nothing of it goes on once it has
 * ended. Whatever waits for something waits as a part of a life, so that a crash can fall between any two steps.
 */
export class Life {
  private held: (() => void)[] | null = null;
  private hasEnded = false;

  constructor(private readonly timers: Timers | VirtualClock) {}

  get nowMs(): number {
    return this.timers.nowMs;
  }

  get isFrozen(): boolean {
    return this.held !== null;
  }

  /** Has something happen at that time, or when it goes on again after a standstill, unless the life has ended. */
  at(atMs: number, happen: () => void): void {
    this.timers.at(atMs, () => this.live(happen));
  }

  /** The same after that time. */
  after(ms: number, happen: () => void): void {
    this.at(this.nowMs + ms, happen);
  }

  /** The same again and again, the first time after `firstMs`. */
  every(ms: number, firstMs: number, happen: () => void): void {
    this.after(firstMs, () => {
      happen();
      this.every(ms, ms, happen);
    });
  }

  /** Resolves after that time; never when the life ends before. */
  sleep(ms: number): Promise<void> {
    return new Promise((resolve) => this.after(ms, resolve));
  }

  /** Has something happen now, or when it goes on again after a standstill. */
  now(happen: () => void): void {
    this.live(happen);
  }

  /** What comes of a promise of somebody else, for this life: while it stands still it hears nothing, and once it has ended never. */
  hear<T>(promise: Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      promise.then(
        (value) => this.live(() => resolve(value)),
        (error: unknown) => this.live(() => reject(error)),
      );
    });
  }

  freeze(): void {
    this.held ??= [];
  }

  /** Goes on as if nothing had been. */
  thaw(): void {
    const held = this.held ?? [];
    this.held = null;
    for (const happen of held) this.at(this.nowMs, happen);
  }

  end(): void {
    this.hasEnded = true;
    this.held = null;
  }

  private live(happen: () => void): void {
    if (this.hasEnded) return;
    if (this.held !== null) this.held.push(happen);
    else happen();
  }
}
