import { MESSAGES_MAX } from './action.ts';
import { ACTIONS } from './actions.ts';
import type { BrokenLaw } from './laws-of-decisions.ts';
import { lawOfWorld } from './laws-of-steps.ts';
import type { Model } from './model.ts';
import { nameOperations } from './orders.ts';
import { lawOfRest, Settling } from './settle.ts';
import type { World } from './world.ts';
import { WorldTable } from './world-table.ts';

/** How far to go. */
export interface Bounds {
  /** At most so many faults and orders in a run. */
  readonly faults: number;
  /** `fine`: between any two events of a server anything may happen; `coarse`: what it does every second happens in one go. */
  readonly grain: 'fine' | 'coarse';
  /** Stop at so many distinct worlds. */
  readonly worlds: number;
  /** Stop after so many milliseconds. */
  readonly ms?: number;
  /** Follow every n-th new world to its end; 0: none. */
  readonly settleEvery: number;
  /** Told now and then. */
  readonly progress?: (found: Found) => void;
}

/** A law that broke, and the way there. */
export interface Violation extends BrokenLaw {
  /** Number of the beginning, in the order in which the beginnings were given. */
  readonly beginning: number;
  /** Names of the actions from there; the last one breaks the law. */
  readonly actions: readonly string[];
}

/** What has been explored so far. */
export interface Found {
  readonly worlds: number;
  readonly transitions: number;
  /** Worlds followed to their end when faults stop. */
  readonly settled: number;
  /** How many ended how. */
  readonly endings: Readonly<Record<string, number>>;
  /** Worlds first reached with so many faults and orders; the last entry is complete only when `isComplete`. */
  readonly byFaults: readonly number[];
  /** Every run within the bound on faults was explored to its end. */
  readonly isComplete: boolean;
  readonly violation: Violation | null;
  readonly seconds: number;
}

const COARSE = ACTIONS.flatMap(({ kind }, index) => (kind === 'course' ? [index] : []));
const FINE = ACTIONS.flatMap(({ kind }, index) => (kind === 'course' || kind === 'part' ? [index] : []));
const COUNTED = ACTIONS.flatMap(({ kind }, index) => (kind === 'fault' || kind === 'order' ? [index] : []));

/** Explores everything that can happen from these beginnings, fewest faults first, then fewest steps. Stops at the first broken law. */
export class Exploration {
  private readonly model: Model;
  private readonly bounds: Bounds;
  private readonly table = new WorldTable();
  private readonly settling: Settling;
  private readonly began = performance.now();
  private transitions = 0;
  private settled = 0;
  private readonly endings: Record<string, number> = {};
  private readonly byFaults: number[] = [];
  private violation: Violation | null = null;

  constructor(model: Model, bounds: Bounds) {
    this.model = model;
    this.bounds = bounds;
    this.settling = new Settling(model);
  }

  /** Explores, and says what was found. */
  run(beginnings: readonly World[]): Found {
    for (const [index, world] of beginnings.entries()) this.reach(world, -1, index);
    let first = 0;
    for (let faults = 0; ; faults++) {
      const last = this.close(first);
      this.byFaults.push(this.table.size - first);
      if (this.isOver()) return this.found(false);
      if (faults === this.bounds.faults) return this.found(true);
      // worlds of this number of faults: each may be the one in which the next fault happens
      const end = last;
      for (let index = first; index < end && !this.isOver(); index++) this.expand(index, COUNTED);
      first = end;
    }
  }

  /** Follows the course of the world from every world found from `first` on; returns how many there are then. */
  private close(first: number): number {
    for (let index = first; index < this.table.size && !this.isOver(); index++)
      this.expand(index, this.bounds.grain === 'fine' ? FINE : COARSE);
    return this.table.size;
  }

  private expand(index: number, actions: readonly number[]): void {
    const world = this.table.at(index);
    for (const number of actions) {
      const action = ACTIONS[number];
      if (action === undefined) continue;
      this.model.begin();
      const reached = action.apply(this.model, world);
      if (reached === null || reached.net.value.messages.length > MESSAGES_MAX) continue;
      this.transitions += 1;
      if (this.model.broken !== null) {
        this.breach(this.model.broken, index, number);
        return;
      }
      const next = this.model.normal(nameOperations(this.model, reached));
      this.reach(next, index, number);
      if (this.violation !== null) return;
    }
    if ((index & 0x3fff) === 0x3fff) this.bounds.progress?.(this.found(false));
  }

  private reach(world: World, parent: number, action: number): void {
    const index = this.table.add(world, parent, action);
    if (index < 0) return;
    const broken = lawOfWorld(world) ?? this.lawOfEnding(world, index);
    if (broken !== null) this.breach(broken, parent, action);
  }

  /** Law 7: when faults stop, the pair comes to rest where it may. */
  private lawOfEnding(world: World, index: number): BrokenLaw | null {
    const { settleEvery } = this.bounds;
    if (settleEvery === 0 || index % settleEvery !== 0) return null;
    this.model.begin();
    const ending = this.settling.ending(world);
    this.settled += 1;
    this.endings[ending] = (this.endings[ending] ?? 0) + 1;
    if (this.model.broken !== null)
      return { ...this.model.broken, says: `after the faults: ${this.model.broken.says}` };
    return lawOfRest(ending);
  }

  private breach(broken: BrokenLaw, parent: number, action: number): void {
    const actions: string[] = [];
    let index = parent;
    let beginning = parent === -1 ? action : 0;
    if (parent !== -1) actions.unshift(ACTIONS[action]?.name ?? '');
    while (index !== -1) {
      const origin = this.table.origin(index);
      if (origin.parent === -1) beginning = origin.action;
      else actions.unshift(ACTIONS[origin.action]?.name ?? '');
      index = origin.parent;
    }
    this.violation = { ...broken, beginning, actions };
  }

  private isOver(): boolean {
    const { worlds, ms } = this.bounds;
    return (
      this.violation !== null || this.table.size >= worlds || (ms !== undefined && performance.now() - this.began > ms)
    );
  }

  private found(isComplete: boolean): Found {
    const { transitions, settled, endings, byFaults, violation } = this;
    return {
      worlds: this.table.size,
      transitions,
      settled,
      endings: { ...endings },
      byFaults: [...byFaults],
      isComplete,
      violation,
      seconds: (performance.now() - this.began) / 1000,
    };
  }
}
