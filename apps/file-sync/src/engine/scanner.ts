import type { Stats } from 'node:fs';
import { type Entry, isSafePath, parentOf, type RelativePath, STAGING, shownPath } from '../domain/entry.ts';
import type { Selection } from '../domain/selection.ts';
import type { FileCalls } from '../ports/file-calls.ts';
import type { ChangeWatch } from './change-watch.ts';
import type { Tracked } from './entry-table.ts';
import type { ExtendedAttributes } from './extended-attributes.ts';
import { type ReadContent, readContent } from './file-content.ts';
import type { Inventory } from './inventory.ts';
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
  /** Directories that are not meant, and were not looked into. */
  readonly pruned: readonly RelativePath[];
  /** Something was read so soon after its last change that it has to be read once more. */
  readonly isUnsettled: boolean;
}

/** Between two of so many entries others may have a turn. */
const LOOKS_AT_ONCE = 16;

/** What a scan works with. */
export interface ScannerParts {
  readonly calls: FileCalls;
  readonly tree: Tree;
  readonly selection: Selection;
  readonly attributes: ExtendedAttributes;
  readonly inventory: Inventory;
  readonly pause: () => Promise<void>;
  /** Null: nobody follows what changes. */
  readonly watch: ChangeWatch | null;
  /** Told when a look at everything has closed a generation on its way. Null: it closes only one, at its end. */
  readonly onPart: (() => void) | null;
  /** What a long look has found so far can be told so often. */
  readonly partMs: number;
}

/** Looks at directories of a set and enters what they hold into the inventory. Files that look as they did are not read again. */
export class Scanner {
  private readonly problems: Problem[] = [];
  private readonly pruned: RelativePath[] = [];
  private isUnsettled = false;
  private changed = 0;
  /** Of the changes those that are in a generation. */
  private closed = 0;
  private closedAtMs = performance.now();
  private looks = 0;
  /** That were looked into. */
  private readonly directories = new Set<RelativePath>();

  constructor(private readonly parts: ScannerParts) {}

  /** Looks at everything. Throws when the root cannot be read: that is not an empty set. */
  async scanAll(): Promise<ScanResult> {
    const seen = new Set<RelativePath>();
    try {
      await this.look('', seen, true);
      this.parts.watch?.keepOnly(this.directories);
      for (const path of [...this.parts.inventory.entries.keys()]) if (!seen.has(path)) this.drop(path);
    } finally {
      this.closeGeneration();
    }
    return this.result();
  }

  /** Looks at these paths and at all below those that are directories. */
  async scan(paths: readonly RelativePath[]): Promise<ScanResult> {
    try {
      await this.scanPaths(paths);
    } finally {
      this.closeGeneration();
    }
    return this.result();
  }

  private async scanPaths(paths: readonly RelativePath[]): Promise<void> {
    const named = new Set(paths.filter(isSafePath));
    const tops = [...named].filter((path) => !isBelow(path, named));
    const directories = new Set(
      tops.filter((path) => this.parts.inventory.entries.get(path)?.entry.kind === 'directory'),
    );
    const seen = new Set<RelativePath>();
    for (const path of tops) {
      // a directory may be another one under the name by now
      this.parts.tree.forget(path);
      const stats = this.statOrKeep(path, seen);
      if (stats === undefined) continue;
      if (stats === null || !stats.isDirectory()) this.parts.watch?.forget(path);
      if (stats !== null) await this.enter(path, stats, seen);
      this.enterParents(path, seen);
    }
    for (const path of tops) if (!seen.has(path)) this.drop(path);
    if (directories.size > 0)
      for (const path of [...this.parts.inventory.entries.keys()])
        if (!seen.has(path) && isBelow(path, directories)) this.drop(path);
  }

  /** Also when a look has failed half way: what it has found by then is not found again. */
  private closeGeneration(): void {
    if (this.changed === this.closed) return;
    this.parts.inventory.closeGeneration();
    this.closed = this.changed;
    this.closedAtMs = performance.now();
  }

  /** Whoever waits for what is here need not wait for the end of a long look. */
  private closePart(): void {
    const { onPart, partMs } = this.parts;
    if (onPart === null || this.changed === this.closed || performance.now() - this.closedAtMs < partMs) return;
    this.closeGeneration();
    onPart();
  }

  private result(): ScanResult {
    const { changed, problems, pruned, isUnsettled } = this;
    return { changed, problems, pruned, isUnsettled };
  }

  private async look(directory: RelativePath, seen: Set<RelativePath>, isRoot = false): Promise<boolean> {
    let names: string[];
    try {
      const place = this.parts.tree.inside(directory);
      if (this.parts.watch !== null) {
        this.parts.watch.follow(directory, this.parts.calls.fstatSync(this.parts.tree.directory(directory)), place);
        this.directories.add(directory);
      }
      names = this.parts.calls.readdirSync(place, { encoding: 'latin1' });
    } catch (error) {
      if (isRoot) throw error;
      if (!isAbsence(error)) this.report(directory, error);
      return this.keepBelow(directory, seen);
    }
    let hasEntries = false;
    for (const name of names) {
      const path = directory === '' ? name : `${directory}/${name}`;
      this.looks += 1;
      this.closePart();
      if (this.looks % LOOKS_AT_ONCE === 0) await this.parts.pause();
      if (this.parts.selection.prunes(path)) {
        if (path !== STAGING) this.pruned.push(path);
        continue;
      }
      const known = this.parts.inventory.entries.get(path);
      if (known === undefined && !isSafePath(path)) {
        this.problems.push({ path: shownPath(path), message: 'its path is too long', isSkipped: false });
        continue;
      }
      const stats = this.statOrKeep(path, seen);
      if (stats === undefined) hasEntries ||= known !== undefined;
      if (stats === undefined || stats === null) continue;
      if (known !== undefined && isUnchanged(known, stats) && this.parts.selection.takes(path)) seen.add(path);
      else if (!(await this.enter(path, stats, seen))) continue;
      hasEntries = true;
    }
    return hasEntries;
  }

  /** What is at a path; null: nothing. Undefined: the system does not tell, and what was there stays. */
  private statOrKeep(path: RelativePath, seen: Set<RelativePath>): Stats | null | undefined {
    try {
      return this.parts.tree.stat(path);
    } catch (error) {
      this.report(path, error);
      seen.add(path);
      this.keepBelow(path, seen);
      return undefined;
    }
  }

  /** What is below and cannot be looked at has not gone. False when nothing is known there. */
  private keepBelow(directory: RelativePath, seen: Set<RelativePath>): boolean {
    let isKnown = false;
    for (const path of this.parts.inventory.entries.keys()) {
      if (!path.startsWith(`${directory}/`)) continue;
      seen.add(path);
      isKnown = true;
    }
    return isKnown;
  }

  /** Enters what is at a path. False when nothing there belongs to the set. */
  private async enter(path: RelativePath, stats: Stats, seen: Set<RelativePath>): Promise<boolean> {
    if (this.parts.selection.prunes(path)) return false;
    if (stats.isDirectory()) {
      if (stats.dev !== this.parts.tree.device) {
        const message = 'another file system is mounted here: give it a file set of its own';
        this.problems.push({ path: shownPath(path), message, isSkipped: false });
        // what it hides has not gone
        if (!this.parts.inventory.entries.has(path)) return false;
        seen.add(path);
        this.keepBelow(path, seen);
        return true;
      }
      const isTaken = this.parts.selection.takes(path);
      // before what is in it: a part that is told names no file without its directory
      if (isTaken) this.enterDirectory(path, stats);
      const holdsEntries = await this.look(path, seen);
      if (!isTaken) {
        if (!holdsEntries) return false;
        this.enterDirectory(path, stats);
      }
    } else {
      if (!this.parts.selection.takes(path)) return false;
      if (stats.isSymbolicLink()) {
        try {
          const target = this.parts.calls
            .readlinkSync(this.parts.tree.place(path), { encoding: 'buffer' })
            .toString('latin1');
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
    const known = this.parts.inventory.entries.get(path);
    if (known !== undefined && isUnchanged(known, stats)) return;
    let content: ReadContent;
    try {
      const { calls, tree, pause, attributes } = this.parts;
      content = await readContent(calls, tree, path, pause, attributes);
    } catch (error) {
      // the version before, if there is one, stays the one that counts
      if (!isAbsence(error)) this.report(path, error);
      return;
    }
    const { stats: read, hash, attributes, isSettled } = content;
    const mtimeUs = Math.round(read.mtimeMs * 1000);
    const mode = read.mode & 0o7777;
    const entry = { ...ownership(path, read), kind: 'file', mode, mtimeUs, size: read.size, hash } as const;
    this.put(attributes === undefined ? entry : { ...entry, attributes }, read, isSettled);
  }

  private enterDirectory(path: RelativePath, stats: Stats): void {
    try {
      const attributes = this.parts.attributes.read(this.parts.tree.directory(path));
      const entry = { ...ownership(path, stats), kind: 'directory', mode: stats.mode & 0o7777 } as const;
      this.put(attributes === undefined ? entry : { ...entry, attributes }, stats, true);
    } catch (error) {
      if (!isAbsence(error)) this.report(path, error);
    }
  }

  private put(entry: Entry, { ino, ctimeMs }: Stats, isSettled: boolean): void {
    this.isUnsettled ||= !isSettled;
    if (this.parts.inventory.put({ entry, inode: ino, ctimeMs, isSettled })) this.changed += 1;
  }

  private drop(path: RelativePath): void {
    this.parts.watch?.forget(path);
    if (this.parts.inventory.drop(path)) this.changed += 1;
  }

  /** Directories that patterns do not name belong to the set as soon as something in them does. */
  private enterParents(path: RelativePath, seen: Set<RelativePath>): void {
    if (!seen.has(path)) return;
    for (let parent = parentOf(path); parent !== ''; parent = parentOf(parent)) {
      const stats = this.statOrKeep(parent, seen);
      if (stats?.isDirectory()) this.enterDirectory(parent, stats);
    }
  }

  private report(path: RelativePath, error: unknown): void {
    this.problems.push({ path: shownPath(path), message: reasonOf(error), isSkipped: false });
  }
}

/** Whether one of the directories that a path lies in is among these. */
function isBelow(path: RelativePath, directories: ReadonlySet<RelativePath>): boolean {
  for (let parent = parentOf(path); parent !== ''; parent = parentOf(parent)) if (directories.has(parent)) return true;
  return false;
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
  EPERM: 'this server may not change it: it is immutable (lsattr), or another user’s',
  ENOSPC: 'the disk is full',
  EROFS: 'the file system is read-only',
  ENAMETOOLONG: 'its name is too long for this file system',
  EDQUOT: 'the quota is used up',
  EISDIR: 'a directory is in its place',
  ENOTEMPTY: 'the directory in its place holds what is not in the set',
};

const OPENED = /, \w+ '\/proc\/self\/fd\/.*$/s;

/** Why nothing is known of what a set holds here. */
export function unreadable(directory: string, error: unknown): string {
  const missing = 'there is no such directory: create it, or mount its disk';
  const other = 'it is no directory: a file set is one';
  const isOther = (error as NodeJS.ErrnoException).code === 'ENOTDIR';
  return `${directory} cannot be read: ${isOther ? other : isAbsence(error) ? missing : reasonOf(error)}`;
}

/** Why something did not work, in words where they are known. */
export function reasonOf(error: unknown): string {
  const { code, message } = error as NodeJS.ErrnoException;
  // where an opened directory was is another number in every run, and says nothing
  return (code !== undefined && REASONS[code]) || message?.replace(OPENED, '') || String(error);
}
