/** Something that is due. */
interface Due {
  readonly atMs: number;
  /** Of what is due at the same time, what was asked for first happens first. */
  readonly order: number;
  readonly happen: () => void;
  /** Nobody waits for it: no promise goes on because of it. */
  readonly isSilent: boolean;
}

/** Time of a simulation: it stands still while anything happens, and then goes on at once to what is due next. */
export class VirtualClock {
  nowMs = 1000;
  /** A heap: what is due next comes first. */
  private readonly due: Due[] = [];
  private orders = 0;

  /** Has something happen at that time. `isSilent`: nobody decides anything because of it. */
  at(atMs: number, happen: () => void, isSilent = false): void {
    const entry = { atMs: Math.max(atMs, this.nowMs), order: this.orders++, happen, isSilent };
    const { due } = this;
    let place = due.push(entry) - 1;
    while (place > 0) {
      const above = (place - 1) >> 1;
      const parent = due[above] as Due;
      if (isBefore(parent, entry)) break;
      due[place] = parent;
      place = above;
    }
    due[place] = entry;
  }

  /** Lets happen what is due until that time, one after the other; `isEnough` is asked after each, and true ends it there. */
  async pass(untilMs: number, isEnough: () => boolean): Promise<void> {
    for (;;) {
      const next = this.due[0];
      if (next === undefined || next.atMs > untilMs) break;
      this.takeFirst();
      this.nowMs = next.atMs;
      next.happen();
      if (next.isSilent) continue;
      await settled();
      if (isEnough()) return;
    }
    this.nowMs = untilMs;
  }

  private takeFirst(): void {
    const { due } = this;
    const last = due.pop() as Due;
    if (due.length === 0) return;
    let place = 0;
    for (;;) {
      let below = 2 * place + 1;
      if (below >= due.length) break;
      if (below + 1 < due.length && isBefore(due[below + 1] as Due, due[below] as Due)) below += 1;
      const child = due[below] as Due;
      if (isBefore(last, child)) break;
      due[place] = child;
      place = below;
    }
    due[place] = last;
  }
}

/** Waits until everything that follows from what has happened has happened too, in no time: no promise can go on any further. */
export function settled(): Promise<void> {
  // Node.js comes to the next tick only when its queue of microtasks is empty.
  return new Promise((resolve) => process.nextTick(resolve));
}

function isBefore(one: Due, other: Due): boolean {
  return one.atMs < other.atMs || (one.atMs === other.atMs && one.order < other.order);
}
