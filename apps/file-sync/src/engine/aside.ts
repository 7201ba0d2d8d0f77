import { constants } from 'node:fs';
import { join } from 'node:path';
import { nameOf, parentOf, type RelativePath } from '../domain/entry.ts';
import type { FileCalls } from '../ports/file-calls.ts';
import { isAbsence, isRefused, type Tree, TreeError } from './tree.ts';

const { O_WRONLY, O_CREAT, O_EXCL, O_RDONLY, O_DIRECTORY } = constants;
const CHUNK_BYTES = 256 * 1024;
/** So much is made durable at once: the system call for a large file would hold up everybody else. */
const SYNC_BYTES = 64 * 1024 * 1024;
const UNFINISHED = '.unfinished';

/**
 * Keeps what would be lost: a file of this server that is not one the active server knows. The folder is made when it is first
 * needed. Keeping it a second time is success.
 */
export class Aside {
  /** What was kept, as paths in the set. */
  readonly kept: RelativePath[] = [];
  private copies = 0;

  /**
   * @param folder absolute path; must lie outside of every file set
   * @param note absolute path of a file that names the folder until people have been told of it, whatever ends before
   */
  private constructor(
    private readonly calls: FileCalls,
    readonly folder: string,
    private readonly note: string,
  ) {}

  /** In a folder of the present time. @param setAside absolute path of the folder for all sets @param name of the set */
  static now(calls: FileCalls, setAside: string, name: string): Aside {
    const folder = join(setAside, name, new Date().toISOString().replaceAll(':', ''));
    return new Aside(calls, folder, noteOf(setAside, name));
  }

  /** What an earlier process has kept, and told nobody before it ended; null: nothing. Throws as `readdir(2)` does. */
  static untold(calls: FileCalls, setAside: string, name: string): Aside | null {
    const note = noteOf(setAside, name);
    try {
      const aside = new Aside(calls, calls.readlinkSync(note), note);
      for (const path of filesBelow(calls, aside.folder, '')) aside.kept.push(path);
      return aside;
    } catch (error) {
      if (isAbsence(error)) return null;
      throw error;
    }
  }

  /** Copies that a process has not finished before it ended are in nobody's way any more. */
  static discardUnfinished(calls: FileCalls, setAside: string, name: string): void {
    const folder = join(setAside, name);
    try {
      for (const each of calls.readdirSync(folder, { encoding: 'utf8' }))
        if (each.endsWith(UNFINISHED)) calls.unlinkSync(join(folder, each));
    } catch (error) {
      if (!isRefused(error)) throw error;
    }
  }

  /** People have been told. A note that the system does not let go is told once more by the next process. */
  told(): void {
    this.discard(this.note);
  }

  /**
   * Keeps the file or link at `path`, durably, under the same path below the folder; a second one of a name gets a number. Where it has to be
   * copied that takes long, and others have turns. Returns what lets go of it again. Throws `TreeError` when it is changed meanwhile.
   */
  async keep(tree: Tree, path: RelativePath, pause: () => Promise<void>): Promise<() => void> {
    try {
      return this.enter(path, (to) => this.calls.linkSync(tree.place(path), to));
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code !== 'EXDEV' && code !== 'EMLINK' && code !== 'EPERM') throw error;
    }
    const copy = await this.copy(tree, path, pause);
    try {
      return this.enter(path, (to) => this.moveTo(copy, to));
    } catch (error) {
      this.discard(copy);
      throw error;
    }
  }

  /** Puts something in its place below the folder. */
  private enter(path: RelativePath, put: (to: Buffer) => void): () => void {
    let place: Buffer | null = null;
    try {
      const directory = this.directory(parentOf(path));
      this.calls.mkdirSync(directory, { recursive: true, mode: 0o700 });
      if (this.kept.length === 0) this.begin();
      place = this.putIn(directory, path, put);
      const fd = this.calls.openSync(directory, O_RDONLY | O_DIRECTORY);
      try {
        this.calls.fsyncSync(fd);
      } finally {
        this.calls.closeSync(fd);
      }
    } catch (error) {
      this.letGo(path, place);
      throw error;
    }
    this.kept.push(path);
    return () => {
      this.kept.splice(this.kept.lastIndexOf(path), 1);
      this.letGo(path, place);
    };
  }

  private begin(): void {
    this.discard(this.note);
    this.calls.symlinkSync(this.folder, this.note);
  }

  private directory(path: RelativePath): Buffer {
    return Buffer.concat([Buffer.from(join(this.folder, '/')), Buffer.from(path, 'latin1')]);
  }

  private putIn(directory: Buffer, path: RelativePath, put: (to: Buffer) => void): Buffer {
    for (let count = 1; ; count++) {
      const suffix = count === 1 ? '' : `~${count}`;
      const place = Buffer.concat([directory, Buffer.from(`/${nameOf(path)}${suffix}`, 'latin1')]);
      try {
        put(place);
        return place;
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
      }
    }
  }

  /** Never over what is there. A link and its removal are no way: not every file system has links. */
  private moveTo(copy: string, to: Buffer): void {
    if (this.calls.lstatSync(to, { throwIfNoEntry: false })) throw new TreeError('EEXIST', 'is there already');
    this.calls.renameSync(copy, to);
  }

  /** What cannot be kept, or stays in its place, leaves nothing here: it comes again with every run. */
  private letGo(path: RelativePath, place: Buffer | null): void {
    if (place !== null) this.discard(place);
    if (this.kept.length === 0) this.told();
    for (let left = path; left !== ''; ) {
      left = parentOf(left);
      try {
        this.calls.rmdirSync(this.directory(left));
      } catch (error) {
        // something else is in it, or it was not made
        if (!isRefused(error)) throw error;
      }
    }
  }

  /** Under a name that is not too long, and beside the folder, in which everything is whole. */
  private async copy(tree: Tree, path: RelativePath, pause: () => Promise<void>): Promise<string> {
    this.copies += 1;
    const unfinished = `${this.folder}.${this.copies}${UNFINISHED}`;
    try {
      await this.copyTo(tree, path, unfinished, pause);
      return unfinished;
    } catch (error) {
      // a disk that has become full with it is not left so
      this.discard(unfinished);
      throw error;
    }
  }

  /** What the system does not remove stays. */
  private discard(place: string | Buffer): void {
    try {
      this.calls.unlinkSync(place);
    } catch (error) {
      if (!isRefused(error)) throw error;
    }
  }

  private async copyTo(tree: Tree, path: RelativePath, to: string, pause: () => Promise<void>): Promise<void> {
    if (tree.stat(path)?.isSymbolicLink()) {
      this.calls.symlinkSync(this.calls.readlinkSync(tree.place(path), { encoding: 'buffer' }), to);
      return;
    }
    const { fd: source, stats } = tree.openFile(path);
    try {
      const target = this.calls.openSync(to, O_WRONLY | O_CREAT | O_EXCL, 0o600);
      try {
        const buffer = Buffer.allocUnsafe(CHUNK_BYTES);
        for (let position = 0, synced = 0; ; ) {
          const count = this.calls.readSync(source, buffer, 0, CHUNK_BYTES, position);
          if (count === 0) break;
          writeWhole(this.calls, target, buffer.subarray(0, count), position);
          position += count;
          if (position - synced >= SYNC_BYTES) {
            this.calls.fsyncSync(target);
            synced = position;
          }
          await pause();
        }
        this.calls.fsyncSync(target);
      } finally {
        this.calls.closeSync(target);
      }
      const { ctimeMs } = this.calls.fstatSync(source);
      if (ctimeMs !== stats.ctimeMs)
        throw new TreeError('EBUSY', 'was changed here while it was kept aside: the next run does it again');
    } finally {
      this.calls.closeSync(source);
    }
  }
}

/** A link: made at once as a whole, and a person sees where it leads. In the set's own folder: any name beside it may be another set's. */
function noteOf(setAside: string, name: string): string {
  return join(setAside, name, 'untold');
}

function* filesBelow(calls: FileCalls, folder: string, path: RelativePath): Generator<RelativePath> {
  const directory = Buffer.concat([Buffer.from(join(folder, '/')), Buffer.from(path, 'latin1')]);
  for (const entry of calls.readdirSync(directory, { withFileTypes: true, encoding: 'buffer' })) {
    const name = entry.name.toString('latin1');
    const below = path === '' ? name : `${path}/${name}`;
    if (entry.isDirectory()) yield* filesBelow(calls, folder, below);
    else yield below;
  }
}

/** Writes all of it: a disk that becomes full takes a part and says no at the next call. */
export function writeWhole(calls: FileCalls, fd: number, bytes: Uint8Array, position: number): void {
  for (let written = 0; written < bytes.length; ) {
    written += calls.writeSync(fd, bytes, written, bytes.length - written, position + written);
  }
}
