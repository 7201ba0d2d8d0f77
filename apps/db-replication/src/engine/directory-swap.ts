import { existsSync, readFileSync } from 'node:fs';
import { lstat, opendir, rename, rm, statfs } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { syncDirectory, writeFileAtomically } from '@understudy/platform';
import { nameOfNow } from './name-of-now.ts';

/** Lies in a copied data directory, so that it comes into place with it. */
const COPY_MARK = 'understudy.copy';
/** In which the file system counts. */
const BLOCK_BYTES = 512;

/** What was in the place of a copy: nothing, an older state of the same database system, or a database of its own. */
export type Before = 'nothing' | 'same' | 'foreign';

/** Puts a full copy in the place of the data directory, and takes it back. Interrupted anywhere, `recover` finishes or undoes it. */
export class DirectorySwap {
  constructor(private readonly dataDirectory: string) {}

  /** Where the copy is made. */
  get copyPath(): string {
    return `${this.dataDirectory}.copy`;
  }

  /** Where the directory from before lies until the copy streams. */
  get beforePath(): string {
    return `${this.dataDirectory}.before`;
  }

  /** What the copy in place replaced; null when what is in place is no copy, or has been worked with since. */
  get replaced(): Before | null {
    return readMark(this.dataDirectory)?.before ?? null;
  }

  /** Finishes or undoes an interrupted swap. */
  async recover(): Promise<void> {
    const before = this.pathOfBefore(this.copyPath);
    if (!existsSync(this.dataDirectory) && existsSync(before)) await rename(before, this.dataDirectory);
    await rm(this.copyPath, { recursive: true, force: true });
    await rm(`${this.dataDirectory}.new`, { recursive: true, force: true });
    await rm(this.deletingPath, { recursive: true, force: true });
    await this.sync();
  }

  /** Puts the finished copy in place. The directory from before stays beside it; a database of its own under a name for good. */
  async putInPlace(before: Before): Promise<void> {
    const path = before === 'foreign' ? `${this.dataDirectory}.kept-${nameOfNow()}` : this.beforePath;
    await writeFileAtomically(join(this.copyPath, COPY_MARK), `${before}\n${basename(path)}\n`);
    if (existsSync(this.dataDirectory)) {
      if (path === this.beforePath) await rm(path, { recursive: true, force: true });
      await rename(this.dataDirectory, path);
    }
    await rename(this.copyPath, this.dataDirectory);
    await this.sync();
  }

  /** Free bytes where the copy is made. */
  async room(): Promise<number> {
    const { bavail, bsize } = await statfs(dirname(this.dataDirectory));
    return bavail * bsize;
  }

  /** Bytes that the deletion of the directory in place would free. */
  async sizeOfOld(): Promise<number> {
    let bytes = 0;
    for await (const entry of await opendir(this.dataDirectory, { recursive: true }).catch(() => []))
      bytes += (await lstat(join(entry.parentPath, entry.name)).catch(() => null))?.blocks ?? 0;
    return bytes * BLOCK_BYTES;
  }

  /** Deletes the directory that a copy is to replace, without waiting for the copy. */
  async deleteOld(): Promise<void> {
    if (!existsSync(this.dataDirectory)) return;
    // Under another name first: half deleted it would be taken for something that is not a database.
    await rename(this.dataDirectory, this.deletingPath);
    await this.sync();
    await rm(this.deletingPath, { recursive: true, force: true });
  }

  private get deletingPath(): string {
    return `${this.dataDirectory}.deleting`;
  }

  /** The copy streams: an older state of the same database is not needed any more. A database of its own is kept; its path. */
  async settle(): Promise<string | null> {
    if (this.replaced === 'foreign') {
      const kept = this.pathOfBefore(this.dataDirectory);
      return existsSync(kept) ? kept : null;
    }
    await rm(this.beforePath, { recursive: true, force: true });
    return null;
  }

  /** What is in place is a database to work with from now on: it is not discarded as a copy any more. */
  async adopt(): Promise<void> {
    await rm(join(this.dataDirectory, COPY_MARK), { force: true });
  }

  /** Takes a copy away again. One that replaced the same database, which is gone by now, stays: it is all there is. */
  async discard(): Promise<void> {
    const { replaced } = this;
    if (replaced === null) return;
    const before = this.pathOfBefore(this.dataDirectory);
    if (existsSync(before)) {
      await rename(this.dataDirectory, this.copyPath);
      await rename(before, this.dataDirectory);
    } else if (replaced === 'nothing') {
      await rename(this.dataDirectory, this.copyPath);
    }
    await this.sync();
    await rm(this.copyPath, { recursive: true, force: true });
  }

  /** Where that lies which the copy in this directory has replaced, or was about to. */
  private pathOfBefore(copy: string): string {
    const name = readMark(copy)?.name;
    return name === undefined ? this.beforePath : join(dirname(this.dataDirectory), name);
  }

  private async sync(): Promise<void> {
    await syncDirectory(dirname(this.dataDirectory));
  }
}

/** The mark of a copy: what it replaced, and the name of the directory where that is. */
function readMark(directory: string): { before: Before; name: string | undefined } | null {
  try {
    const [before, name] = readFileSync(join(directory, COPY_MARK), 'utf8').trim().split('\n');
    return before === 'nothing' || before === 'same' || before === 'foreign' ? { before, name } : null;
  } catch {
    return null;
  }
}
