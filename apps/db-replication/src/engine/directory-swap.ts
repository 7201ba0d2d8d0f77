import { existsSync, readFileSync } from 'node:fs';
import { rename, rm, statfs } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { syncDirectory, writeFileAtomically } from '@understudy/platform';

/** Lies in a copied data directory, so that it comes into place with it. */
const COPY_MARK = 'understudy.copy';

/** What was in the place of a copy: nothing, an older state of the same database system, or a database of its own. */
export type Before = 'nothing' | 'same' | 'foreign';

/** Puts a full copy in the place of the data directory, and takes it back. Interrupted anywhere, `recover` finishes or undoes it. */
export class DirectorySwap {
  constructor(private readonly dataDirectory: string) {}

  /** Where the copy is made. */
  get copyPath(): string {
    return `${this.dataDirectory}.copy`;
  }

  /** Where the directory from before lies meanwhile. */
  get beforePath(): string {
    return `${this.dataDirectory}.before`;
  }

  /** What the copy in place replaced; null when what is in place is no copy, or has been worked with since. */
  get replaced(): Before | null {
    try {
      const text = readFileSync(join(this.dataDirectory, COPY_MARK), 'utf8').trim();
      return text === 'nothing' || text === 'same' || text === 'foreign' ? text : null;
    } catch {
      return null;
    }
  }

  /** Finishes or undoes an interrupted swap. */
  async recover(): Promise<void> {
    if (!existsSync(this.dataDirectory) && existsSync(this.beforePath))
      await rename(this.beforePath, this.dataDirectory);
    await rm(this.copyPath, { recursive: true, force: true });
    await rm(`${this.dataDirectory}.new`, { recursive: true, force: true });
    await rm(this.deletingPath, { recursive: true, force: true });
    await this.sync();
  }

  /** Puts the finished copy in place. The directory from before stays beside it. */
  async putInPlace(before: Before): Promise<void> {
    await writeFileAtomically(join(this.copyPath, COPY_MARK), `${before}\n`);
    if (existsSync(this.dataDirectory)) {
      await this.clearBefore();
      await rename(this.dataDirectory, this.beforePath);
    }
    await rename(this.copyPath, this.dataDirectory);
    await this.sync();
  }

  /** Free bytes where the copy is made. */
  async room(): Promise<number> {
    const { bavail, bsize } = await statfs(dirname(this.dataDirectory));
    return bavail * bsize;
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
    if (!existsSync(this.beforePath)) return null;
    if (this.replaced === 'foreign') return this.beforePath;
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
    if (existsSync(this.beforePath)) {
      await rename(this.dataDirectory, this.copyPath);
      await rename(this.beforePath, this.dataDirectory);
    } else if (replaced === 'nothing') {
      await rename(this.dataDirectory, this.copyPath);
    }
    await this.sync();
    await rm(this.copyPath, { recursive: true, force: true });
  }

  /** Whatever is kept from an earlier copy makes room; a database of its own is never deleted. */
  private async clearBefore(): Promise<void> {
    if (!existsSync(this.beforePath)) return;
    if (this.replaced === 'foreign') {
      await rename(this.beforePath, `${this.beforePath}-${new Date().toISOString().replaceAll(/[:.]/g, '-')}`);
    } else {
      await rm(this.beforePath, { recursive: true, force: true });
    }
  }

  private async sync(): Promise<void> {
    await syncDirectory(dirname(this.dataDirectory));
  }
}
