import { contentOf, type Entry, type RelativePath } from '../domain/entry.ts';

/** An entry as it was found, with what tells whether its content may have changed since. */
export interface Tracked {
  readonly entry: Entry;
  readonly inode: number;
  /** Time of the last change as the system keeps it, Unix ms with fractions. */
  readonly ctimeMs: number;
  /** The content was read so long after the last change that a later change has another time. */
  readonly isSettled: boolean;
  /** The generation of the set in which it became what it is. */
  readonly generation: number;
}

/** Removed paths are remembered so many; whoever is further behind gets everything. */
const REMOVED_MAX = 100_000;

/** What differs from one generation to another. */
export interface Delta {
  /** False: `entries` is everything there is. */
  readonly isPartial: boolean;
  readonly entries: Entry[];
  readonly removed: RelativePath[];
}

/** What a file set holds on this server, and what has changed since which generation. */
export class Inventory {
  readonly entries = new Map<RelativePath, Tracked>();
  private readonly removed = new Map<RelativePath, number>();
  private forgottenUpTo = 0;
  private files = 0;
  private bytes = 0;
  /** Grows with every change that was found. */
  generation = 1;

  /** Enters what was found. True when content, metadata or kind differ from before. */
  put(found: Omit<Tracked, 'generation'>, isNewer = true): boolean {
    const { path } = found.entry;
    const before = this.entries.get(path);
    if (before !== undefined) this.count(before.entry, -1);
    this.count(found.entry, 1);
    const isSame = before !== undefined && sameEntry(before.entry, found.entry);
    this.entries.set(path, {
      entry: isSame ? before.entry : found.entry,
      inode: found.inode,
      ctimeMs: found.ctimeMs,
      isSettled: found.isSettled,
      generation: isSame ? before.generation : this.generation + (isNewer ? 1 : 0),
    });
    if (!isSame) this.removed.delete(path);
    return !isSame;
  }

  /** It has gone. True when it was there. */
  drop(path: RelativePath): boolean {
    const before = this.entries.get(path);
    if (before === undefined) return false;
    this.count(before.entry, -1);
    this.entries.delete(path);
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

  /** What has changed after a generation; null: everything. */
  since(generation: number | null): Delta {
    const isPartial = generation !== null && generation >= this.forgottenUpTo && generation <= this.generation;
    if (isPartial && generation === this.generation) return { isPartial, entries: [], removed: [] };
    const all = [...this.entries.values()];
    if (!isPartial) return { isPartial, entries: all.map(({ entry }) => entry), removed: [] };
    return {
      isPartial,
      entries: all.filter((tracked) => tracked.generation > generation).map(({ entry }) => entry),
      removed: [...this.removed].flatMap(([path, at]) => (at > generation ? [path] : [])),
    };
  }

  /** Number of files and bytes of their content. */
  totals(): { readonly files: number; readonly bytes: number } {
    return { files: this.files, bytes: this.bytes };
  }

  private count(entry: Entry, times: 1 | -1): void {
    if (entry.kind !== 'directory') this.files += times;
    if (entry.kind === 'file') this.bytes += times * entry.size;
  }
}

/** Whether two entries are the same in everything but, perhaps, their path. */
export function sameEntry(a: Entry, b: Entry): boolean {
  if (a.kind !== b.kind || a.uid !== b.uid || a.gid !== b.gid || contentOf(a) !== contentOf(b)) return false;
  if (a.kind === 'link' || b.kind === 'link') return true;
  return a.mode === b.mode && (a.kind !== 'file' || b.kind !== 'file' || a.mtimeUs === b.mtimeUs);
}
