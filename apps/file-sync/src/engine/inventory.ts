import type { Comparison } from '../domain/difference.ts';
import {
  contentOf,
  DIRECTORY_CONTENT,
  type Entry,
  type RelativePath,
  sameAttributes,
  sameMetadata,
} from '../domain/entry.ts';
import { EntryTable, MARKS, type Tracked } from './entry-table.ts';
import { Overlay, type Values } from './overlay.ts';

/** Removed paths are remembered so many; whoever is further behind gets everything. */
const REMOVED_MAX = 100_000;

/** What differs from one generation to another. */
export interface Delta {
  /** False: `entries` is everything there is. */
  readonly isPartial: boolean;
  readonly entries: Iterable<Entry>;
  readonly removed: readonly RelativePath[];
}

/** What a file set holds on this server, what has changed since which generation, and how it stands to the other server's. */
export class Inventory {
  private readonly table = new EntryTable();
  /** What both servers are known to have had in common last: content by path. */
  readonly agreed = new Overlay<string>(this.table, {
    mark: MARKS.agreed,
    said: contentOf,
    isSame: (content, entry) => content === contentOf(entry),
  });
  /** The pair of which `agreed` speaks; null: none yet. */
  pair: string | null = null;
  /** What the active server has, as far as it is known here. */
  readonly wanted: Overlay<Entry>;
  private readonly removed = new Map<RelativePath, number>();
  private forgottenUpTo = 0;
  private files = 0;
  private bytes = 0;
  /** Grows with every change that was found. */
  generation = 1;

  /** @param withOwner owners can be given here: they count */
  constructor(private readonly withOwner: boolean) {
    this.wanted = new Overlay<Entry>(
      this.table,
      {
        mark: MARKS.wanted,
        said: (entry) => entry,
        isSame: (wanted, entry) =>
          wanted.kind === entry.kind &&
          contentOf(wanted) === contentOf(entry) &&
          sameMetadata(wanted, entry, withOwner),
      },
      // before the first run it is everything
      new CompactEntries(),
    );
  }

  /** By path. */
  get entries(): Pick<EntryTable, 'size' | 'get' | 'has' | 'keys' | 'values' | 'filesWith' | typeof Symbol.iterator> {
    return this.table;
  }

  /** Enters what was found. True when content, metadata or kind differ from before. */
  put(found: Omit<Tracked, 'generation'>, isNewer = true): boolean {
    const { entry } = found;
    const { path } = entry;
    const before = this.table.get(path);
    if (before !== undefined && sameEntry(before.entry, entry)) {
      this.table.put(path, { ...found, entry: before.entry, generation: before.generation });
      return false;
    }
    if (before !== undefined) this.count(before.entry, -1);
    this.count(entry, 1);
    const overlays = [this.agreed, this.wanted];
    for (const overlay of overlays) overlay.beforeChange(path, before?.entry ?? null, entry);
    this.table.put(path, { ...found, generation: this.generation + (isNewer ? 1 : 0) });
    for (const overlay of overlays) overlay.afterChange(path, entry);
    this.removed.delete(path);
    return true;
  }

  /** It has gone. True when it was there. */
  drop(path: RelativePath): boolean {
    const before = this.table.get(path);
    if (before === undefined) return false;
    this.count(before.entry, -1);
    for (const overlay of [this.agreed, this.wanted]) overlay.beforeChange(path, before.entry, null);
    this.table.delete(path);
    this.removed.set(path, this.generation + 1);
    if (this.removed.size > REMOVED_MAX) {
      this.removed.clear();
      this.forgottenUpTo = this.generation + 1;
    }
    return true;
  }

  /** What was put and dropped since the last call becomes a generation of its own. */
  closeGeneration(): void {
    this.generation += 1;
  }

  /**
   * What has changed after a generation; null: everything. To be read before anything changes, but for `upTo`: what is found meanwhile is of a
   * later generation than that, and is left out.
   */
  since(generation: number | null, upTo?: number): Delta {
    const isPartial = generation !== null && generation >= this.forgottenUpTo && generation <= this.generation;
    if (!isPartial) return { isPartial, entries: this.table.newerThan(-1, upTo), removed: [] };
    if (generation === this.generation) return { isPartial, entries: [], removed: [] };
    return {
      isPartial,
      entries: this.table.newerThan(generation, upTo),
      removed: [...this.removed].flatMap(([path, at]) => (at > generation ? [path] : [])),
    };
  }

  /** This server is of a pair. In another one than before, what the former other server had says nothing of the new one: true. */
  paired(pair: string): boolean {
    if (pair === this.pair) return false;
    this.agreed.clear();
    this.pair = pair;
    return true;
  }

  /**
   * The other server has everything up to a generation: that is what both have in common. What is newer it may have in a version between, and
   * what both had before says nothing any more: whoever has gone back to it has something that the other has not got.
   */
  agreeUpTo(generation: number): void {
    const newer = new Set<RelativePath>();
    for (const { path } of this.table.newerThan(generation)) newer.add(path);
    for (const path of newer) this.agreed.delete(path);
    for (const path of this.table.marked(0, MARKS.agreed)) {
      if (newer.has(path)) continue;
      this.agreed.delete(path);
      this.table.mark(path, MARKS.agreed, true);
    }
    // what has gone from here since the other server has still
    this.forgetAgreed((path) => (this.removed.get(path) ?? this.forgottenUpTo) <= generation);
  }

  /** What is here as it is wanted is from now on known to be on both servers. */
  agreeOnWanted(): void {
    for (const path of this.table.marked(MARKS.wanted, MARKS.agreed)) {
      this.agreed.delete(path);
      this.table.mark(path, MARKS.agreed, true);
    }
    // of another owner, mode or time here
    for (const path of this.wanted.differing()) {
      const [here, entry] = [this.table.get(path)?.entry, this.wanted.get(path)];
      if (here !== undefined && entry !== undefined && contentOf(here) === contentOf(entry))
        this.agreed.set(path, contentOf(entry));
    }
    this.forgetAgreed((path) => !this.wanted.has(path));
  }

  /** Files and links that both servers had. */
  agreedFiles(): number {
    let count = this.table.countOfFiles(MARKS.agreed);
    for (const path of this.agreed.differing()) if (this.agreed.get(path) !== DIRECTORY_CONTENT) count += 1;
    return count;
  }

  /** Paths of what is here and is not wanted. */
  extra(): RelativePath[] {
    return [...this.table.marked(0, MARKS.wanted)].filter((path) => !this.wanted.has(path));
  }

  /** How what is wanted stands to what is here. @param paths of what is wanted and differs @param extra of what is here and is not wanted */
  comparison(paths: Iterable<RelativePath>, extra: readonly RelativePath[]): Comparison {
    const { table, wanted, withOwner } = this;
    const entries: Entry[] = [];
    for (const path of paths) {
      const entry = wanted.get(path);
      if (entry !== undefined) entries.push(entry);
    }
    return { wanted: entries, hereAt: (path) => table.get(path)?.entry, extra, withOwner };
  }

  /** Number of files and bytes of their content. */
  totals(): { readonly files: number; readonly bytes: number } {
    return { files: this.files, bytes: this.bytes };
  }

  /** Forgets what neither server has. */
  private forgetAgreed(isForgotten: (path: RelativePath) => boolean): void {
    for (const path of [...this.agreed.differing()])
      if (!this.table.has(path) && isForgotten(path)) this.agreed.delete(path);
  }

  private count(entry: Entry, times: 1 | -1): void {
    if (entry.kind !== 'directory') this.files += times;
    if (entry.kind === 'file') this.bytes += times * entry.size;
  }
}

/** Entries by path in columns. */
class CompactEntries implements Values<Entry> {
  private readonly table = new EntryTable();

  get(path: RelativePath): Entry | undefined {
    return this.table.get(path)?.entry;
  }

  has(path: RelativePath): boolean {
    return this.table.has(path);
  }

  set(path: RelativePath, entry: Entry): void {
    this.table.put(path, { entry, inode: 0, ctimeMs: 0, isSettled: false, generation: 0 });
  }

  delete(path: RelativePath): void {
    this.table.delete(path);
  }

  clear(): void {
    this.table.clear();
  }

  keys(): IterableIterator<RelativePath> {
    return this.table.keys();
  }
}

/** Whether two entries are the same in everything but, perhaps, their path. */
export function sameEntry(a: Entry, b: Entry): boolean {
  if (a.kind !== b.kind || a.uid !== b.uid || a.gid !== b.gid || contentOf(a) !== contentOf(b)) return false;
  if (a.kind === 'link' || b.kind === 'link') return true;
  if (a.mode !== b.mode || !sameAttributes(a.attributes, b.attributes)) return false;
  return a.kind !== 'file' || b.kind !== 'file' || a.mtimeUs === b.mtimeUs;
}
