import type { Ref } from './world.ts';

/** Keeps each distinct value once, numbered in the order of first appearance, and frozen: law 1 forbids a decision to change it. */
export class Interner<T> {
  private readonly refs = new Map<string, Ref<T>>();
  private readonly describe: (value: T) => { readonly epochs: number; readonly lowestLsn: number };

  constructor(describe: (value: T) => { readonly epochs: number; readonly lowestLsn: number }) {
    this.describe = describe;
  }

  /** How many distinct values there are. */
  get size(): number {
    return this.refs.size;
  }

  /** The one reference to this value. */
  intern(value: T): Ref<T> {
    const text = JSON.stringify(value);
    const known = this.refs.get(text);
    if (known !== undefined) return known;
    const ref: Ref<T> = { id: this.refs.size, value: deepFreeze(value), ...this.describe(value) };
    this.refs.set(text, ref);
    return ref;
  }
}

function deepFreeze<T>(value: T): T {
  if (typeof value !== 'object' || value === null || Object.isFrozen(value)) return value;
  for (const part of Object.values(value)) deepFreeze(part);
  return Object.freeze(value);
}
