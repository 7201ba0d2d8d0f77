import type { Stats } from 'node:fs';
import { type Entry, isSafePath, parentOf, type RelativePath, shownPath } from '../domain/entry.ts';
import type { Selection } from '../domain/selection.ts';
import type { FileCalls } from '../ports/file-calls.ts';
import { type ReadContent, readContent } from './file-content.ts';
import type { Inventory, Tracked } from './inventory.ts';
import { isAbsence, type Tree } from './tree.ts';

/** What could not be taken into a set: the entry as people read it, and why. */
export interface Problem {
  readonly path: string;
  readonly message: string;
  /** It is no kind of thing that can be kept the same (a socket, a device): nothing is wrong. */
  readonly isSkipped: boolean;
}

/** What a scan has found besides the entries. */
export interface ScanResult {
  readonly changed: number;
  readonly problems: readonly Problem[];
}

/** Between two of so many entries others may have a turn. */
const LOOKS_AT_ONCE = 16;

/** Looks at directories of a set and enters what they hold into the inventory. Files that look as they did are not read again. */
export class Scanner {
  private problems: Problem[] = [];
  private changed = 0;
  private looks = 0;

  constructor(
    private readonly calls: FileCalls,
    private readonly tree: Tree,
    private readonly selection: Selection,
    private readonly inventory: Inventory,
    private readonly pause: () => Promise<void>,
  ) {}

  /** Looks at everything. Throws when the root cannot be read: that is not an empty set. */
  async scanAll(): Promise<ScanResult> {
    const seen = new Set<RelativePath>();
    await this.look('', seen, true);
    for (const path of [...this.inventory.entries.keys()]) if (!seen.has(path)) this.drop(path);
    return this.finish();
  }

  /** Looks at these paths and at all below those that are directories. */
  async scan(paths: readonly RelativePath[]): Promise<ScanResult> {
    const tops = paths.filter((path) => isSafePath(path) && !paths.some((other) => path.startsWith(`${other}/`)));
    const seen = new Set<RelativePath>();
    for (const path of new Set(tops)) {
      const stats = this.tree.stat(path);
      if (stats === null || !stats.isDirectory()) this.tree.forget(path);
      if (stats !== null) await this.enter(path, stats, seen);
      this.enterParents(path, seen);
    }
    this.dropUnseen(tops, seen);
    return this.finish();
  }

  private dropUnseen(tops: readonly RelativePath[], seen: ReadonlySet<RelativePath>): void {
    const { entries } = this.inventory;
    const directories = tops.filter((top) => entries.get(top)?.entry.kind === 'directory');
    for (const top of tops) if (!seen.has(top)) this.drop(top);
    if (directories.length === 0) return;
    const isBelow = (path: RelativePath) => directories.some((top) => path.startsWith(`${top}/`));
    for (const path of [...entries.keys()]) if (!seen.has(path) && isBelow(path)) this.drop(path);
  }

  private finish(): ScanResult {
    const { changed, problems } = this;
    if (changed > 0) this.inventory.closeGeneration();
    this.changed = 0;
    this.problems = [];
    return { changed, problems };
  }

  private async look(directory: RelativePath, seen: Set<RelativePath>, isRoot = false): Promise<boolean> {
    let names: string[];
    try {
      names = this.calls.readdirSync(this.tree.inside(directory), { encoding: 'latin1' });
    } catch (error) {
      if (isRoot) throw error;
      if (!isAbsence(error)) this.report(directory, error);
      // what is below and cannot be looked at has not gone
      for (const path of this.inventory.entries.keys()) if (path.startsWith(`${directory}/`)) seen.add(path);
      return false;
    }
    let hasEntries = false;
    for (const name of names) {
      const path = directory === '' ? name : `${directory}/${name}`;
      this.looks += 1;
      if (this.looks % LOOKS_AT_ONCE === 0) await this.pause();
      if (this.selection.prunes(path)) continue;
      const known = this.inventory.entries.get(path);
      if (known === undefined && !isSafePath(path)) {
        this.problems.push({ path: shownPath(path), message: 'its path is too long', isSkipped: false });
        continue;
      }
      let stats: Stats | null;
      try {
        stats = this.tree.stat(path);
      } catch (error) {
        this.report(path, error);
        seen.add(path);
        continue;
      }
      if (stats === null) continue;
      if (known !== undefined && isUnchanged(known, stats) && this.selection.takes(path)) seen.add(path);
      else if (!(await this.enter(path, stats, seen))) continue;
      hasEntries = true;
    }
    return hasEntries;
  }

  /** Enters what is at a path. False when nothing there belongs to the set. */
  private async enter(path: RelativePath, stats: Stats, seen: Set<RelativePath>): Promise<boolean> {
    if (this.selection.prunes(path)) return false;
    if (stats.isDirectory()) {
      if (stats.dev !== this.tree.device) {
        const message = 'another file system is mounted here: give it a file set of its own';
        this.problems.push({ path: shownPath(path), message, isSkipped: false });
        return false;
      }
      const holdsEntries = await this.look(path, seen);
      if (!holdsEntries && !this.selection.takes(path)) return false;
      this.put({ ...ownership(path, stats), kind: 'directory', mode: stats.mode & 0o7777 }, stats, true);
    } else {
      if (!this.selection.takes(path)) return false;
      if (stats.isSymbolicLink()) {
        try {
          const target = this.calls.readlinkSync(this.tree.place(path), { encoding: 'buffer' }).toString('latin1');
          this.put({ ...ownership(path, stats), kind: 'link', target }, stats, true);
        } catch (error) {
          if (isAbsence(error)) return false;
          this.report(path, error);
        }
      } else if (stats.isFile()) await this.enterFile(path, stats);
      else {
        const message = 'is neither a file nor a directory nor a link, and is left out';
        this.problems.push({ path: shownPath(path), message, isSkipped: true });
        return false;
      }
    }
    seen.add(path);
    return true;
  }

  private async enterFile(path: RelativePath, stats: Stats): Promise<void> {
    const known = this.inventory.entries.get(path);
    if (known !== undefined && isUnchanged(known, stats)) return;
    let content: ReadContent;
    try {
      content = await readContent(this.calls, this.tree, path, this.pause);
    } catch (error) {
      // the version before, if there is one, stays the one that counts
      if (!isAbsence(error)) this.report(path, error);
      return;
    }
    const { stats: read, hash, isSettled } = content;
    const mtimeUs = Math.round(read.mtimeMs * 1000);
    const mode = read.mode & 0o7777;
    this.put({ ...ownership(path, read), kind: 'file', mode, mtimeUs, size: read.size, hash }, read, isSettled);
  }

  private put(entry: Entry, { ino, ctimeMs }: Stats, isSettled: boolean): void {
    if (this.inventory.put({ entry, inode: ino, ctimeMs, isSettled })) this.changed += 1;
  }

  private drop(path: RelativePath): void {
    if (this.inventory.drop(path)) this.changed += 1;
  }

  /** Directories that patterns do not name belong to the set as soon as something in them does. */
  private enterParents(path: RelativePath, seen: Set<RelativePath>): void {
    if (!seen.has(path)) return;
    for (let parent = parentOf(path); parent !== ''; parent = parentOf(parent)) {
      const stats = this.tree.stat(parent);
      if (stats?.isDirectory())
        this.put({ ...ownership(parent, stats), kind: 'directory', mode: stats.mode & 0o7777 }, stats, true);
    }
  }

  private report(path: RelativePath, error: unknown): void {
    this.problems.push({ path: shownPath(path), message: reasonOf(error), isSkipped: false });
  }
}

/** Whether a file is surely what it was when it was read last: whoever changes owner or mode changes the time of change too. */
export function isUnchanged({ entry, inode, ctimeMs, isSettled }: Tracked, stats: Stats): boolean {
  return (
    isSettled &&
    entry.kind === 'file' &&
    stats.isFile() &&
    inode === stats.ino &&
    ctimeMs === stats.ctimeMs &&
    entry.size === stats.size &&
    entry.mtimeUs === Math.round(stats.mtimeMs * 1000)
  );
}

function ownership(path: RelativePath, { uid, gid }: Stats) {
  return { path, uid, gid };
}

const REASONS: Readonly<Record<string, string>> = {
  EACCES: 'this server may not read or write it',
  EPERM: 'this server may not change it',
  ENOSPC: 'the disk is full',
  EROFS: 'the file system is read-only',
  ENAMETOOLONG: 'its name is too long for this file system',
  EDQUOT: 'the quota is used up',
  EISDIR: 'a directory is in its place',
  ENOTEMPTY: 'the directory in its place holds what is not in the set',
};

/** Why something did not work, in words where they are known. */
export function reasonOf(error: unknown): string {
  const { code, message } = error as NodeJS.ErrnoException;
  return (code !== undefined && REASONS[code]) || message || String(error);
}
