import { constants, type PathLike, type Stats } from 'node:fs';
import { nameOf, parentOf, type RelativePath } from '../domain/entry.ts';
import type { FileCalls } from '../ports/file-calls.ts';

const { O_RDONLY, O_DIRECTORY, O_NOFOLLOW, O_NONBLOCK } = constants;
const DIRECTORY = O_RDONLY | O_DIRECTORY | O_NOFOLLOW;
/** A pipe that has taken a file's place must not hold us. */
const FILE = O_RDONLY | O_NOFOLLOW | O_NONBLOCK;
const OPEN_DIRECTORIES_MAX = 64;
const ASCII = /^[\0-\x7f]*$/;

/** A failure with the code of a system call, for what the system itself would have allowed. */
export class TreeError extends Error {
  constructor(
    readonly code: string,
    message: string,
  ) {
    super(message);
    this.name = 'TreeError';
  }
}

/**
 * The directory of a file set, opened. Every path is walked from the opened root, one component at a time, through opened directories
 * (`/proc/self/fd/N/NAME` is Node's way to `openat`), and no link is followed: whatever is changed meanwhile, nothing outside is reached.
 * Other file systems that are mounted inside are not entered.
 */
export class Tree {
  /** Device of the root: another one inside is another file system. */
  readonly device: number;
  private readonly open = new Map<RelativePath, number>();
  /** The one that was used last: the newest of `open`. */
  private last: { readonly path: RelativePath; readonly fd: number } | null = null;

  private constructor(
    private readonly calls: FileCalls,
    private readonly rootFd: number,
  ) {
    this.device = calls.fstatSync(rootFd).dev;
  }

  /** Opens the root, which may itself be named by a link. Throws as `open(2)` does. */
  static open(calls: FileCalls, root: string): Tree {
    const fd = calls.openSync(root, O_RDONLY | O_DIRECTORY);
    try {
      return new Tree(calls, fd);
    } catch (error) {
      calls.closeSync(fd);
      throw error;
    }
  }

  /** Where system calls find an entry, its directory being open. Good until the next call of this tree. Throws as `open(2)` does. */
  place(path: RelativePath): PathLike {
    return placeBelow(this.directory(parentOf(path)), nameOf(path));
  }

  /** Where system calls find a directory's content. */
  inside(path: RelativePath): string {
    return `/proc/self/fd/${this.directory(path)}`;
  }

  /** The root for another program: it has no file descriptors of ours. */
  get rootForOthers(): string {
    return `/proc/${process.pid}/fd/${this.rootFd}`;
  }

  /** An opened directory, which stays this tree's to close. */
  directory(path: RelativePath): number {
    if (path === '') return this.rootFd;
    // one file after the other of the same directory
    if (path === this.last?.path) return this.last.fd;
    const known = this.open.get(path);
    if (known !== undefined) {
      this.last = { path, fd: known };
      // the last used stay open longest
      this.open.delete(path);
      this.open.set(path, known);
      return known;
    }
    const parent = this.directory(parentOf(path));
    const fd = this.calls.openSync(placeBelow(parent, nameOf(path)), DIRECTORY);
    if (this.calls.fstatSync(fd).dev !== this.device) {
      this.calls.closeSync(fd);
      throw new TreeError('EXDEV', 'another file system is mounted here: give it a file set of its own');
    }
    if (this.open.size >= OPEN_DIRECTORIES_MAX) this.closeOldest();
    this.open.set(path, fd);
    this.last = { path, fd };
    return fd;
  }

  /** What is there, links not followed; null: nothing. */
  stat(path: RelativePath): Stats | null {
    try {
      // an exception costs more than the call
      return this.calls.lstatSync(this.place(path), { throwIfNoEntry: false }) ?? null;
    } catch (error) {
      if (isAbsence(error)) return null;
      throw error;
    }
  }

  /** Opens a regular file for reading; the caller closes it. Throws EINVAL for anything else. */
  openFile(path: RelativePath): { readonly fd: number; readonly stats: Stats } {
    const fd = this.calls.openSync(this.place(path), FILE);
    const stats = this.calls.fstatSync(fd);
    if (stats.isFile()) return { fd, stats };
    this.calls.closeSync(fd);
    throw new TreeError('EINVAL', 'is not a regular file any more');
  }

  /** Directories at and below a path have gone, or may be others now. */
  forget(path: RelativePath): void {
    this.last = null;
    for (const [known, fd] of this.open) {
      if (known !== path && !known.startsWith(`${path}/`)) continue;
      this.calls.closeSync(fd);
      this.open.delete(known);
    }
  }

  close(): void {
    this.last = null;
    for (const fd of this.open.values()) this.calls.closeSync(fd);
    this.open.clear();
    this.calls.closeSync(this.rootFd);
  }

  private closeOldest(): void {
    const [oldest] = this.open;
    if (oldest === undefined) return;
    this.last = null;
    this.calls.closeSync(oldest[1]);
    this.open.delete(oldest[0]);
  }
}

/** Where system calls find a name in an opened directory. Names are bytes; text, which is quicker, says the same where it is ASCII. */
export function placeBelow(fd: number, name: string): PathLike {
  const place = `/proc/self/fd/${fd}/${name}`;
  return ASCII.test(name) ? place : Buffer.from(place, 'latin1');
}

/** Whether the system has refused a call; any other error is a fault of ours, or ends a run. */
export function isRefused(error: unknown): boolean {
  return typeof (error as NodeJS.ErrnoException).code === 'string';
}

/** Whether an error says that there is nothing at the path. */
export function isAbsence(error: unknown): boolean {
  const { code } = error as NodeJS.ErrnoException;
  return code === 'ENOENT' || code === 'ENOTDIR' || code === 'ELOOP';
}
