import type { World } from './world.ts';

const WIDTH = 6;

/**
 * Worlds by number, each stored once as the six numbers of its parts. Equality is exact: nothing is lost to a hash. With each goes
 * how it was reached first.
 */
export class WorldTable {
  private parts = new Int32Array(1 << 16);
  private slots = new Int32Array(1 << 16).fill(-1);
  private parents = new Int32Array(1 << 14);
  private actions = new Int16Array(1 << 14);
  private count = 0;
  private readonly refs: {
    minds: World['minds'][0][];
    bodies: World['bodies'][0][];
    nets: World['net'][];
    witnesses: World['witness'][];
  };

  constructor() {
    this.refs = { minds: [], bodies: [], nets: [], witnesses: [] };
  }

  /** How many worlds there are. */
  get size(): number {
    return this.count;
  }

  /** Adds a world. Its number when it is new, otherwise -1 - its number. */
  add(world: World, parent: number, action: number): number {
    const [m0, m1] = world.minds;
    const [b0, b1] = world.bodies;
    const { net, witness } = world;
    let slot = this.slotOf(m0.id, m1.id, b0.id, b1.id, net.id, witness.id);
    for (let at = this.slots[slot] as number; at !== -1; at = this.slots[slot] as number) {
      const base = at * WIDTH;
      const { parts } = this;
      if (
        parts[base] === m0.id &&
        parts[base + 1] === m1.id &&
        parts[base + 2] === b0.id &&
        parts[base + 3] === b1.id &&
        parts[base + 4] === net.id &&
        parts[base + 5] === witness.id
      )
        return -1 - at;
      slot = (slot + 1) & (this.slots.length - 1);
    }
    const index = this.count++;
    this.grow();
    this.parts.set([m0.id, m1.id, b0.id, b1.id, net.id, witness.id], index * WIDTH);
    this.parents[index] = parent;
    this.actions[index] = action;
    if (this.count * 2 > this.slots.length) this.rehash();
    else this.slots[slot] = index;
    this.refs.minds[m0.id] = m0;
    this.refs.minds[m1.id] = m1;
    this.refs.bodies[b0.id] = b0;
    this.refs.bodies[b1.id] = b1;
    this.refs.nets[net.id] = net;
    this.refs.witnesses[witness.id] = witness;
    return index;
  }

  /** The world of a number. */
  at(index: number): World {
    const { minds, bodies, nets, witnesses } = this.refs;
    const part = (offset: number) => this.parts[index * WIDTH + offset] as number;
    return {
      minds: [minds[part(0)], minds[part(1)]] as unknown as World['minds'],
      bodies: [bodies[part(2)], bodies[part(3)]] as unknown as World['bodies'],
      net: nets[part(4)] as World['net'],
      witness: witnesses[part(5)] as World['witness'],
    };
  }

  /** The world before it, and the action that led here; -1 for the worlds that were there from the beginning. */
  origin(index: number): { readonly parent: number; readonly action: number } {
    return { parent: this.parents[index] as number, action: this.actions[index] as number };
  }

  private slotOf(a: number, b: number, c: number, d: number, e: number, f: number): number {
    let hash = Math.imul(a, 0x9e3779b1) ^ Math.imul(b, 0x85ebca77);
    hash = Math.imul(hash ^ (hash >>> 15), 0xc2b2ae3d) ^ Math.imul(c, 0x27d4eb2f);
    hash = Math.imul(hash ^ (hash >>> 13), 0x165667b1) ^ Math.imul(d, 0x9e3779b1);
    hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca77) ^ Math.imul(e, 0xc2b2ae3d);
    hash = Math.imul(hash ^ (hash >>> 14), 0x9e3779b1) ^ Math.imul(f, 0x165667b1);
    return (hash ^ (hash >>> 15)) & (this.slots.length - 1);
  }

  private grow(): void {
    if (this.count * WIDTH > this.parts.length) {
      const parts = new Int32Array(this.parts.length * 2);
      parts.set(this.parts);
      this.parts = parts;
    }
    if (this.count > this.parents.length) {
      const parents = new Int32Array(this.parents.length * 2);
      parents.set(this.parents);
      this.parents = parents;
      const actions = new Int16Array(this.actions.length * 2);
      actions.set(this.actions);
      this.actions = actions;
    }
  }

  private rehash(): void {
    this.slots = new Int32Array(this.slots.length * 2).fill(-1);
    const { parts } = this;
    for (let index = 0; index < this.count; index++) {
      const base = index * WIDTH;
      let slot = this.slotOf(
        parts[base] as number,
        parts[base + 1] as number,
        parts[base + 2] as number,
        parts[base + 3] as number,
        parts[base + 4] as number,
        parts[base + 5] as number,
      );
      while (this.slots[slot] !== -1) slot = (slot + 1) & (this.slots.length - 1);
      this.slots[slot] = index;
    }
  }
}
