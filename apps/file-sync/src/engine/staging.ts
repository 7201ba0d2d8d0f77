import { execFile } from 'node:child_process';
import { constants, type PathLike } from 'node:fs';
import { promisify } from 'node:util';
import { type Entry, type RelativePath, STAGING } from '../domain/entry.ts';
import type { FileCalls } from '../ports/file-calls.ts';
import type { ExtendedAttributes } from './extended-attributes.ts';
import { isAbsence, placeBelow, type Tree } from './tree.ts';

const { O_RDONLY, O_RDWR, O_CREAT, O_EXCL, O_DIRECTORY, O_NOFOLLOW } = constants;
/** From so many on, one sync of the file system costs less than one of each. */
const MANY = 16;

/** Makes everything that was written to a file system durable. Rejects when it cannot. */
export type SyncFileSystem = (directory: string) => Promise<void>;

/** `syncfs(2)`, by the system's own program: others go on meanwhile, and the thread pool is left to the decision journal. */
export const syncFileSystem: SyncFileSystem = async (directory) => {
  await promisify(execFile)('sync', ['-f', directory], { timeout: 600_000 });
};

/** A file that has its content and waits for its name. */
export interface Staged {
  readonly name: string;
  readonly entry: Entry;
}

/** The directory in a set's root where files are completed: on the same file system, so that a rename gives them their name. */
export class Staging {
  private counter = 0;
  private readonly left = new Set<string>();

  private constructor(
    private readonly calls: FileCalls,
    private readonly tree: Tree,
    private readonly sync: SyncFileSystem,
    private readonly withOwner: boolean,
    private readonly attributes: ExtendedAttributes,
    private readonly fd: number,
  ) {}

  /** Makes the directory and removes from it what earlier runs left, but for `kept`. */
  static open(
    calls: FileCalls,
    tree: Tree,
    options: {
      sync: SyncFileSystem;
      withOwner: boolean;
      attributes: ExtendedAttributes;
      /** Which of these names that earlier runs have left are still needed. */
      kept: (names: readonly string[]) => ReadonlySet<string>;
    },
  ): Staging {
    try {
      calls.mkdirSync(tree.place(STAGING), { mode: 0o700 });
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
      // not ours, and perhaps a link that leads elsewhere
      if (!calls.lstatSync(tree.place(STAGING)).isDirectory()) {
        calls.unlinkSync(tree.place(STAGING));
        calls.mkdirSync(tree.place(STAGING), { mode: 0o700 });
      }
    }
    const fd = calls.openSync(tree.place(STAGING), O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
    const staging = new Staging(calls, tree, options.sync, options.withOwner, options.attributes, fd);
    const names = calls.readdirSync(`/proc/self/fd/${fd}`, { encoding: 'latin1' });
    const kept = options.kept(names);
    for (const name of names)
      if (kept.has(name)) staging.left.add(name);
      else staging.discard(name);
    return staging;
  }

  /** A name that no other file of this run has. */
  newName(): string {
    this.counter += 1;
    return `${this.counter}.new`;
  }

  /** Where system calls find a staged file. */
  place(name: string): PathLike {
    return placeBelow(this.fd, name);
  }

  /** Whether an earlier run has left it. */
  isLeft(name: string): boolean {
    return this.left.has(name);
  }

  /** Whether it is there now. */
  has(name: string): boolean {
    return this.calls.lstatSync(this.place(name), { throwIfNoEntry: false }) !== undefined;
  }

  /** Makes the names in this directory durable. */
  syncOwnDirectory(): void {
    this.calls.fsyncSync(this.fd);
  }

  close(): void {
    this.calls.closeSync(this.fd);
  }

  /** Creates a file, or opens one that an earlier run has begun. */
  openFile(name: string): number {
    return this.calls.openSync(this.place(name), O_RDWR | O_CREAT | O_NOFOLLOW, 0o600);
  }

  /** Creates a file that must not be there. */
  createFile(name: string): number {
    return this.calls.openSync(this.place(name), O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, 0o600);
  }

  /** Removes a staged file; none is success. */
  discard(name: string): void {
    try {
      this.calls.unlinkSync(this.place(name));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    }
  }

  /**
   * Gives an opened file or directory owner, attributes, mode and time. The owner first: a change of it takes bits of the mode and capabilities
   * away; then the access control list, whose mask is a part of the mode.
   */
  giveMetadata(fd: number, entry: Entry): void {
    if (this.withOwner) this.calls.fchownSync(fd, entry.uid, entry.gid);
    if (entry.kind !== 'link') this.attributes.give(fd, entry.attributes);
    if (entry.kind !== 'link') this.calls.fchmodSync(fd, entry.mode);
    if (entry.kind === 'file') this.calls.futimesSync(fd, entry.mtimeUs / 1e6, entry.mtimeUs / 1e6);
  }

  /** Makes staged files durable, one by one or all at once. Links need nothing: they are made durable with their directory. */
  async syncFiles(staged: readonly Staged[]): Promise<void> {
    const files = staged.filter(({ entry }) => entry.kind === 'file');
    if (files.length >= MANY) return this.sync(this.tree.rootForOthers);
    for (const { name } of files) {
      const fd = this.openFile(name);
      try {
        this.calls.fsyncSync(fd);
      } finally {
        this.calls.closeSync(fd);
      }
    }
  }

  /** Makes the names in directories durable. */
  async syncDirectories(paths: Iterable<RelativePath>): Promise<void> {
    const directories = [...new Set(paths)];
    if (directories.length >= MANY) return this.sync(this.tree.rootForOthers);
    for (const path of directories) {
      try {
        this.calls.fsyncSync(this.tree.directory(path));
      } catch (error) {
        // it has gone, or has become something else, meanwhile
        if (!isAbsence(error)) throw error;
      }
    }
  }
}
