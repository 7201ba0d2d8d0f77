import type { Stats } from 'node:fs';
import {
  contentOf,
  DIRECTORY_CONTENT,
  type DirectoryEntry,
  type Entry,
  type LinkEntry,
  parentOf,
  type RelativePath,
  sameTime,
  shownPath,
} from '../domain/entry.ts';
import type { FileCalls } from '../ports/file-calls.ts';
import type { Aside } from './aside.ts';
import { readContent } from './file-content.ts';
import { type Inventory, sameEntry } from './inventory.ts';
import { isUnchanged, type Problem, reasonOf } from './scanner.ts';
import type { Staged, Staging } from './staging.ts';
import { isAbsence, isRefused, type Tree, TreeError } from './tree.ts';

/** The direction is no longer the one that a run began with: nothing more may be changed. */
export class DirectionLost extends Error {}

/** What a run changes a set with. */
export interface ApplierParts {
  readonly calls: FileCalls;
  readonly tree: Tree;
  readonly staging: Staging;
  readonly aside: Aside;
  readonly inventory: Inventory;
  /** Throws `DirectionLost` when nothing may be changed any more; asked before every change that can be seen. */
  readonly mayChange: () => void;
  readonly pause: () => Promise<void>;
}

/**
 * Changes the files of the standby. Every file is the old one or the new one, whenever this process or the machine ends; what is not
 * known to the active server is kept aside before it is replaced or removed. What fails is told by entry, and stops nothing else.
 */
export class Applier {
  readonly problems: Problem[] = [];
  /** Files that are given another name: from which to which. Until the old name goes both name the same file. */
  readonly moved = new Map<RelativePath, RelativePath>();

  constructor(private readonly parts: ApplierParts) {}

  /** Makes directories, parents first. They get their owner and mode at the end. */
  async makeDirectories(entries: readonly DirectoryEntry[]): Promise<void> {
    const { calls, tree, mayChange, pause } = this.parts;
    const made: RelativePath[] = [];
    for (const entry of entries) {
      await pause();
      await this.attempt(entry.path, async () => {
        mayChange();
        const stats = tree.stat(entry.path);
        if (!stats?.isDirectory())
          await this.clear(entry, () => {
            calls.mkdirSync(tree.place(entry.path), { mode: 0o700 });
            made.push(parentOf(entry.path));
          });
        this.enter(entry);
      });
    }
    await this.parts.staging.syncDirectories(made);
  }

  /**
   * Gives completed files and links their names, and makes both durable. Returns the entries that are in place.
   * @param pause between two of them; keeping files aside takes long on a slow disk, and the direction has to be heard meanwhile
   */
  async commit(staged: readonly Staged[], pause = this.parts.pause): Promise<Entry[]> {
    const { calls, tree, staging, mayChange } = this.parts;
    if (staged.length === 0) return [];
    await staging.syncFiles(staged);
    const placed: Entry[] = [];
    try {
      for (const { name, entry } of staged) {
        await pause();
        const isPlaced = await this.attempt(entry.path, async () => {
          mayChange();
          await this.clear(entry, () => calls.renameSync(staging.place(name), tree.place(entry.path)));
          placed.push(entry);
        });
        if (!isPlaced) staging.discard(name);
      }
    } finally {
      // also those before the direction was lost: they are the active server's
      await staging.syncDirectories(placed.map(({ path }) => parentOf(path)));
      for (const entry of placed) {
        await pause();
        await this.attempt(entry.path, async () => this.enter(entry));
      }
    }
    return placed;
  }

  /** Makes links in the staging directory, for `commit`. */
  async stageLinks(entries: readonly LinkEntry[], withOwner: boolean): Promise<Staged[]> {
    const { calls, staging, pause } = this.parts;
    const staged: Staged[] = [];
    for (const entry of entries) {
      await pause();
      await this.attempt(entry.path, async () => {
        const name = staging.newName();
        calls.symlinkSync(Buffer.from(entry.target, 'latin1'), staging.place(name));
        if (withOwner) calls.lchownSync(staging.place(name), entry.uid, entry.gid);
        staged.push({ name, entry });
      });
    }
    return staged;
  }

  /** Gives what is in place owner, mode and time. */
  async giveMetadata(entries: readonly Entry[]): Promise<void> {
    const { calls, tree, staging, mayChange, pause } = this.parts;
    for (const entry of entries) {
      await pause();
      await this.attempt(entry.path, async () => {
        mayChange();
        if (entry.kind === 'link') calls.lchownSync(tree.place(entry.path), entry.uid, entry.gid);
        else if (entry.kind === 'directory') staging.giveMetadata(tree.directory(entry.path), entry);
        else {
          const { fd, stats } = tree.openFile(entry.path);
          try {
            // whoever has changed it since it was looked at would be taken for the active server
            if ((await this.contentAt(entry.path, stats)) !== contentOf(entry))
              throw new TreeError('EBUSY', 'was changed here meanwhile: the next run keeps it aside and replaces it');
            mayChange();
            staging.giveMetadata(fd, entry);
          } finally {
            calls.closeSync(fd);
          }
        }
        this.enter(entry);
      });
    }
  }

  /** Removes what the active server has not got, children first. A directory that holds what is not in the set stays. */
  async remove(paths: readonly RelativePath[]): Promise<void> {
    const { calls, tree, mayChange, pause } = this.parts;
    const touched: RelativePath[] = [];
    for (const path of paths) {
      await pause();
      await this.attempt(path, async () => {
        mayChange();
        const stats = tree.stat(path);
        if (stats?.isDirectory()) {
          tree.forget(path);
          if (!this.removeDirectory(path)) return;
        } else if (stats !== null) {
          await this.takeAway(path, stats, () => calls.unlinkSync(tree.place(path)));
        }
        touched.push(parentOf(path));
        this.leave(path);
      });
    }
    await this.parts.staging.syncDirectories(touched);
  }

  /** Null when content that is here cannot be taken: it is received then. */
  reusing(take: () => Staged | null): Staged | null {
    try {
      return take();
    } catch (error) {
      if (!isRefused(error)) throw error;
      return null;
    }
  }

  private removeDirectory(path: RelativePath): boolean {
    try {
      this.parts.calls.rmdirSync(this.parts.tree.place(path));
      return true;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOTEMPTY') return false;
      throw error;
    }
  }

  /** Makes the place of an entry free, for a rename or, where it is a directory, empty; then it is taken. */
  private async clear(entry: Entry, take: () => void): Promise<void> {
    const { calls, tree } = this.parts;
    const stats = tree.stat(entry.path);
    if (stats !== null && !stats.isDirectory()) {
      const takeFrom = () => {
        if (entry.kind === 'directory') calls.unlinkSync(tree.place(entry.path));
        take();
      };
      return this.takeAway(entry.path, stats, takeFrom, contentOf(entry));
    }
    if (stats !== null) await this.removeTree(entry.path);
    take();
  }

  private async removeTree(directory: RelativePath): Promise<void> {
    const { calls, tree } = this.parts;
    for (const name of calls.readdirSync(tree.inside(directory), { encoding: 'latin1' })) {
      const path = `${directory}/${name}`;
      const stats = tree.stat(path);
      if (stats === null) continue;
      if (stats.isDirectory()) await this.removeTree(path);
      else {
        await this.takeAway(path, stats, () => calls.unlinkSync(tree.place(path)));
        this.leave(path);
      }
    }
    tree.forget(directory);
    calls.rmdirSync(tree.place(directory));
    this.leave(directory);
  }

  /**
   * Makes a change after which a file or link is no longer at its path. Where that is refused, or may not be any more, nothing is kept: the
   * next run tries it again.
   * @param replacement content that takes its place: the same content is no loss
   */
  private async takeAway(path: RelativePath, stats: Stats, change: () => void, replacement?: string): Promise<void> {
    const takeBack = await this.keepUnlessAgreed(path, stats, replacement);
    try {
      // a copy of a large file takes minutes
      this.parts.mayChange();
      change();
    } catch (error) {
      const isLeft = isRefused(error) || error instanceof DirectionLost;
      if (isLeft && this.parts.tree.stat(path)?.ino === stats.ino) takeBack?.();
      throw error;
    }
  }

  private async keepUnlessAgreed(path: RelativePath, stats: Stats, replacement?: string) {
    const { aside, tree, inventory, mayChange, pause } = this.parts;
    if (!stats.isFile() && !stats.isSymbolicLink()) return null;
    const movedTo = this.moved.get(path);
    if (movedTo !== undefined && tree.stat(movedTo)?.ino === stats.ino) return null;
    const content = await this.contentAt(path, stats);
    // a large file takes minutes to be read
    mayChange();
    if (content !== null && (content === inventory.agreed.get(path) || content === replacement)) return null;
    return aside.keep(tree, path, pause);
  }

  /** What is at a path now; null: nothing. What cannot be read is no content that anything has. */
  async contentOf(path: RelativePath): Promise<string | null> {
    const stats = this.parts.tree.stat(path);
    if (stats === null) return null;
    return stats.isDirectory() ? DIRECTORY_CONTENT : ((await this.contentAt(path, stats)) ?? '');
  }

  /** What is at a path now; null when it cannot be told. */
  private async contentAt(path: RelativePath, stats: Stats): Promise<string | null> {
    const { calls, tree, inventory, pause } = this.parts;
    if (stats.isSymbolicLink())
      return `>${calls.readlinkSync(tree.place(path), { encoding: 'buffer' }).toString('latin1')}`;
    const tracked = inventory.entries.get(path);
    if (tracked !== undefined && isUnchanged(tracked, stats)) return contentOf(tracked.entry);
    try {
      return (await readContent(calls, tree, path, pause)).hash;
    } catch (error) {
      if (isAbsence(error) || !('code' in (error as object))) throw error;
      return null;
    }
  }

  private enter(entry: Entry): void {
    const { tree, inventory } = this.parts;
    const stats = tree.stat(entry.path);
    // no look finds that it has gone: it is not known yet
    if (stats === null) throw new TreeError('ENOENT', 'was removed here meanwhile: the next run makes it again');
    const found = asFound(entry, stats);
    // one that was changed by hand meanwhile is read at the next look
    const isSettled = entry.kind !== 'file' || sameTime(entry.mtimeUs, stats.mtimeMs * 1000);
    inventory.put({ entry: found, inode: stats.ino, ctimeMs: stats.ctimeMs, isSettled });
    inventory.agreed.set(entry.path, contentOf(entry));
  }

  private leave(path: RelativePath): void {
    this.parts.inventory.drop(path);
    this.parts.inventory.agreed.delete(path);
  }

  /** False when it failed. Only what the system refuses is a problem of this entry; anything else ends the run. */
  private async attempt(path: RelativePath, change: () => Promise<void>): Promise<boolean> {
    try {
      await change();
      return true;
    } catch (error) {
      if (!isRefused(error)) throw error;
      this.problems.push({ path: shownPath(path), message: reasonOf(error), isSkipped: false });
      return false;
    }
  }
}

/** The entry with owner, mode and time as the file system has taken them; the same object when they are: there are many. */
function asFound(entry: Entry, { uid, gid, mode, mtimeMs }: Stats): Entry {
  const owner = { uid, gid };
  const found: Entry =
    entry.kind === 'link'
      ? { ...entry, ...owner }
      : entry.kind === 'directory'
        ? { ...entry, ...owner, mode: mode & 0o7777 }
        : { ...entry, ...owner, mode: mode & 0o7777, mtimeUs: Math.round(mtimeMs * 1000) };
  return sameEntry(entry, found) ? entry : found;
}
