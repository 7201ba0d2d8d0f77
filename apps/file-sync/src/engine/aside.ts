import { constants } from 'node:fs';
import { join } from 'node:path';
import { nameOf, parentOf, type RelativePath } from '../domain/entry.ts';
import type { FileCalls } from '../ports/file-calls.ts';
import type { Tree } from './tree.ts';

const { O_WRONLY, O_CREAT, O_EXCL, O_RDONLY, O_DIRECTORY } = constants;
const CHUNK_BYTES = 256 * 1024;

/**
 * Keeps what would be lost: a file of this server that is not one the active server knows. The folder is made when it is first
 * needed. Keeping it a second time is success.
 */
export class Aside {
  /** What was kept, as paths in the set. */
  readonly kept: RelativePath[] = [];

  /** @param folder absolute path; must lie outside of every file set */
  constructor(
    private readonly calls: FileCalls,
    readonly folder: string,
  ) {}

  /** Keeps the file or link at `path`, durably, under the same path below the folder; a second one of a name gets a number. */
  keep(tree: Tree, path: RelativePath): void {
    const directory = Buffer.concat([Buffer.from(join(this.folder, '/')), Buffer.from(parentOf(path), 'latin1')]);
    this.calls.mkdirSync(directory, { recursive: true, mode: 0o700 });
    const place = (suffix: string) => Buffer.concat([directory, Buffer.from(`/${nameOf(path)}${suffix}`, 'latin1')]);
    for (let count = 1; ; count++) {
      const kept = place(count === 1 ? '' : `~${count}`);
      try {
        this.calls.linkSync(tree.place(path), kept);
        break;
      } catch (error) {
        const { code } = error as NodeJS.ErrnoException;
        if (code === 'EEXIST') continue;
        if (code !== 'EXDEV' && code !== 'EMLINK' && code !== 'EPERM') throw error;
      }
      const unfinished = place(`~${count}.part`);
      this.copy(tree, path, unfinished);
      this.calls.renameSync(unfinished, kept);
      break;
    }
    const fd = this.calls.openSync(directory, O_RDONLY | O_DIRECTORY);
    try {
      this.calls.fsyncSync(fd);
    } finally {
      this.calls.closeSync(fd);
    }
    this.kept.push(path);
  }

  private copy(tree: Tree, path: RelativePath, to: Buffer): void {
    if (tree.stat(path)?.isSymbolicLink()) {
      this.calls.symlinkSync(this.calls.readlinkSync(tree.place(path), { encoding: 'buffer' }), to);
      return;
    }
    const { fd: source } = tree.openFile(path);
    try {
      const target = this.calls.openSync(to, O_WRONLY | O_CREAT | O_EXCL, 0o600);
      try {
        const buffer = Buffer.allocUnsafe(CHUNK_BYTES);
        for (let position = 0; ; ) {
          const count = this.calls.readSync(source, buffer, 0, CHUNK_BYTES, position);
          if (count === 0) break;
          writeWhole(this.calls, target, buffer.subarray(0, count), position);
          position += count;
        }
        this.calls.fsyncSync(target);
      } finally {
        this.calls.closeSync(target);
      }
    } finally {
      this.calls.closeSync(source);
    }
  }
}

/** Writes all of it: a disk that becomes full takes a part and says no at the next call. */
export function writeWhole(calls: FileCalls, fd: number, bytes: Uint8Array, position: number): void {
  for (let written = 0; written < bytes.length; ) {
    written += calls.writeSync(fd, bytes, written, bytes.length - written, position + written);
  }
}
