import type { Attributes, Entry, RelativePath } from '../domain/entry.ts';

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

const KINDS = ['file', 'link', 'directory'] as const;
const KIND_BITS = 0b11;
const SETTLED = 0b100;
/** Marks that others may put on an entry. */
export const MARKS = { agreed: 0b1000, wanted: 0b1_0000 } as const;
export type Mark = (typeof MARKS)[keyof typeof MARKS];
const ALL_MARKS = MARKS.agreed | MARKS.wanted;

const PAGE_ROWS = 4096;
const HASH_BYTES = 32;
const NUMBERS = 5;
const IDS = 3;

/** So many entries in columns: a million of objects with their numbers and hashes would take four times the room. */
class Page {
  readonly hashes = Buffer.alloc(PAGE_ROWS * HASH_BYTES);
  /** Size, time of content (µs), time of change (ms), inode, generation. */
  readonly numbers = new Float64Array(PAGE_ROWS * NUMBERS);
  /** Mode, user, group. */
  readonly ids = new Uint32Array(PAGE_ROWS * IDS);
  readonly flags = new Uint8Array(PAGE_ROWS);
}

/** What few entries have. */
interface Rare {
  readonly target?: string;
  readonly attributes?: Attributes;
}

/** Entries by path, kept small. What is got from it is made anew each time. */
export class EntryTable {
  private readonly rows = new Map<RelativePath, number>();
  private readonly pages: Page[] = [];
  private readonly rare = new Map<number, Rare>();
  private readonly free: number[] = [];

  get size(): number {
    return this.rows.size;
  }

  has(path: RelativePath): boolean {
    return this.rows.has(path);
  }

  get(path: RelativePath): Tracked | undefined {
    const row = this.rows.get(path);
    return row === undefined ? undefined : this.read(path, row);
  }

  keys(): IterableIterator<RelativePath> {
    return this.rows.keys();
  }

  *values(): Generator<Tracked> {
    for (const [path, row] of this.rows) yield this.read(path, row);
  }

  *[Symbol.iterator](): Generator<[RelativePath, Tracked]> {
    for (const [path, row] of this.rows) yield [path, this.read(path, row)];
  }

  /** What became what it is after a generation, and not after another. */
  *newerThan(generation: number, upTo = Number.POSITIVE_INFINITY): Generator<Entry> {
    for (const [path, row] of this.rows) {
      const { numbers } = this.page(row);
      const put = numbers[at(row) * NUMBERS + 4] as number;
      if (put > generation && put <= upTo) yield this.read(path, row).entry;
    }
  }

  /** Files that hold one of these contents (SHA-256, base64url). */
  *filesWith(hashes: ReadonlySet<string>): Generator<Entry & { readonly kind: 'file' }> {
    const beginnings = new Set([...hashes].map((hash) => Buffer.from(hash, 'base64url').readUInt32LE(0)));
    for (const [path, row] of this.rows) {
      const page = this.page(row);
      if (((page.flags[at(row)] as number) & KIND_BITS) !== 0) continue;
      if (!beginnings.has(page.hashes.readUInt32LE(at(row) * HASH_BYTES))) continue;
      const { entry } = this.read(path, row);
      if (entry.kind === 'file' && hashes.has(entry.hash)) yield entry;
    }
  }

  /** Paths whose entry has all marks of `having` and none of `lacking`. */
  *marked(having: number, lacking: number): Generator<RelativePath> {
    const asked = having | lacking;
    for (const [path, row] of this.rows) if ((this.marksOf(row) & asked) === having) yield path;
  }

  /** Files and links that have a mark. */
  countOfFiles(mark: Mark): number {
    let count = 0;
    for (const row of this.rows.values()) {
      const flag = this.page(row).flags[at(row)] as number;
      if ((flag & mark) !== 0 && KINDS[flag & KIND_BITS] !== 'directory') count += 1;
    }
    return count;
  }

  /** Enters it, in the place of what was there, and with its marks. */
  put(path: RelativePath, { entry, inode, ctimeMs, isSettled, generation }: Tracked): void {
    const row = this.rows.get(path) ?? this.newRow(path);
    const page = this.page(row);
    const index = at(row);
    const [size, mtimeUs] = entry.kind === 'file' ? [entry.size, entry.mtimeUs] : [0, 0];
    page.numbers.set([size, mtimeUs, ctimeMs, inode, generation], index * NUMBERS);
    page.ids.set([entry.kind === 'link' ? 0 : entry.mode, entry.uid, entry.gid], index * IDS);
    page.flags[index] = KINDS.indexOf(entry.kind) | (isSettled ? SETTLED : 0) | this.marksOf(row);
    if (entry.kind === 'file') page.hashes.write(entry.hash, index * HASH_BYTES, HASH_BYTES, 'base64url');
    if (entry.kind === 'link') this.rare.set(row, { target: entry.target });
    else if (entry.attributes !== undefined) this.rare.set(row, { attributes: entry.attributes });
    else this.rare.delete(row);
  }

  delete(path: RelativePath): void {
    const row = this.rows.get(path);
    if (row === undefined) return;
    this.rows.delete(path);
    this.rare.delete(row);
    this.page(row).flags[at(row)] = 0;
    this.free.push(row);
    if (this.rows.size === 0) this.clear();
  }

  /** Empties it, and gives its room back. */
  clear(): void {
    this.rows.clear();
    this.rare.clear();
    this.free.length = 0;
    this.pages.length = 0;
  }

  /** Whether an entry is there and has a mark. */
  hasMark(path: RelativePath, mark: Mark): boolean {
    const row = this.rows.get(path);
    return row !== undefined && (this.marksOf(row) & mark) !== 0;
  }

  /** Puts a mark on an entry that is there, or takes it away. */
  mark(path: RelativePath, mark: Mark, isOn: boolean): void {
    const row = this.rows.get(path);
    if (row === undefined) return;
    const { flags } = this.page(row);
    const before = flags[at(row)] as number;
    flags[at(row)] = isOn ? before | mark : before & ~mark;
  }

  private marksOf(row: number): number {
    return (this.page(row).flags[at(row)] as number) & ALL_MARKS;
  }

  private read(path: RelativePath, row: number): Tracked {
    const { hashes, numbers, ids, flags } = this.page(row);
    const index = at(row);
    const number = (column: number) => numbers[index * NUMBERS + column] as number;
    const [mode, uid, gid] = ids.subarray(index * IDS, index * IDS + IDS) as unknown as [number, number, number];
    const flag = flags[index] as number;
    const kind = KINDS[flag & KIND_BITS] as (typeof KINDS)[number];
    const { target = '', attributes } = this.rare.get(row) ?? {};
    let entry: Entry;
    if (kind === 'link') entry = { kind, path, uid, gid, target };
    else if (kind === 'directory') entry = { kind, path, mode, uid, gid };
    else {
      const hash = hashes.toString('base64url', index * HASH_BYTES, (index + 1) * HASH_BYTES);
      entry = { kind, path, mode, uid, gid, mtimeUs: number(1), size: number(0), hash };
    }
    return {
      entry: attributes === undefined || kind === 'link' ? entry : ({ ...entry, attributes } as Entry),
      inode: number(3),
      ctimeMs: number(2),
      isSettled: (flag & SETTLED) !== 0,
      generation: number(4),
    };
  }

  private newRow(path: RelativePath): number {
    const row = this.free.pop() ?? this.rows.size;
    if (row >= this.pages.length * PAGE_ROWS) this.pages.push(new Page());
    // as it comes it may be a part of something larger, or joined of parts: both would be kept
    this.rows.set(Buffer.from(path, 'latin1').toString('latin1'), row);
    return row;
  }

  private page(row: number): Page {
    return this.pages[Math.floor(row / PAGE_ROWS)] as Page;
  }
}

/** The place of a row within its page. */
function at(row: number): number {
  return row % PAGE_ROWS;
}
