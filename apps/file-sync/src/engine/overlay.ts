import type { Entry, RelativePath } from '../domain/entry.ts';
import type { EntryTable, Mark } from './entry-table.ts';

/** How a value stands to the entry of a table at the same path. */
export interface Relation<T> {
  readonly mark: Mark;
  /** What an entry says itself. */
  readonly said: (entry: Entry) => T;
  readonly isSame: (value: T, entry: Entry) => boolean;
}

/** What keeps values by path. */
export interface Values<T> {
  get(path: RelativePath): T | undefined;
  has(path: RelativePath): boolean;
  set(path: RelativePath, value: T): unknown;
  delete(path: RelativePath): unknown;
  clear(): void;
  keys(): IterableIterator<RelativePath>;
}

/**
 * Values by path beside a table of entries, most of which say the same as the entry: then the entry bears a mark, and only what differs
 * takes room.
 */
export class Overlay<T> {
  /** @param others for values that say something else than the entry, or have none */
  constructor(
    private readonly table: EntryTable,
    private readonly relation: Relation<T>,
    private readonly others: Values<T> = new Map(),
  ) {}

  get(path: RelativePath): T | undefined {
    const other = this.others.get(path);
    if (other !== undefined || !this.table.hasMark(path, this.relation.mark)) return other;
    return this.relation.said((this.table.get(path) as { entry: Entry }).entry);
  }

  get isEmpty(): boolean {
    return this[Symbol.iterator]().next().done === true;
  }

  has(path: RelativePath): boolean {
    return this.others.has(path) || this.table.hasMark(path, this.relation.mark);
  }

  set(path: RelativePath, value: T): void {
    const here = this.table.get(path)?.entry;
    const isSame = here !== undefined && this.relation.isSame(value, here);
    this.table.mark(path, this.relation.mark, isSame);
    if (isSame) this.others.delete(path);
    else this.others.set(path, value);
  }

  delete(path: RelativePath): void {
    this.others.delete(path);
    this.table.mark(path, this.relation.mark, false);
  }

  clear(): void {
    this.others.clear();
    for (const path of this.table.marked(this.relation.mark, 0)) this.table.mark(path, this.relation.mark, false);
  }

  /** Paths whose value says something else than the entry, or has none. */
  differing(): IterableIterator<RelativePath> {
    return this.others.keys();
  }

  *[Symbol.iterator](): Generator<[RelativePath, T]> {
    for (const path of this.others.keys()) yield [path, this.others.get(path) as T];
    const { mark, said } = this.relation;
    for (const path of this.table.marked(mark, 0)) {
      const tracked = this.table.get(path);
      if (tracked !== undefined) yield [path, said(tracked.entry)];
    }
  }

  /** Before an entry of the table becomes another one, or goes (null): what was said of it stays said. */
  beforeChange(path: RelativePath, before: Entry | null, after: Entry | null): void {
    const { mark, said, isSame } = this.relation;
    if (before === null || !this.table.hasMark(path, mark)) return;
    if (after !== null && isSame(said(before), after)) return;
    this.table.mark(path, mark, false);
    this.others.set(path, said(before));
  }

  /** An entry has come, or has changed: it may be now what was said. */
  afterChange(path: RelativePath, after: Entry): void {
    const other = this.others.get(path);
    if (other === undefined || !this.relation.isSame(other, after)) return;
    this.others.delete(path);
    this.table.mark(path, this.relation.mark, true);
  }
}
