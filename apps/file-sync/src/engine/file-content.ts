import { createHash, type Hash } from 'node:crypto';
import type { Stats } from 'node:fs';
import type { RelativePath } from '../domain/entry.ts';
import type { FileCalls } from '../ports/file-calls.ts';
import { type Tree, TreeError } from './tree.ts';

const CHUNK_BYTES = 256 * 1024;
const ATTEMPTS = 3;
/** A change within so many ms of another may leave the file's times as they are: the clock of the file system has ticks. */
const TICK_MS = 50;

/** What a file held at one moment. */
export interface ReadContent {
  readonly stats: Stats;
  /** SHA-256, base64url. */
  readonly hash: string;
  readonly isSettled: boolean;
}

/** One thing at a time on one thread: a single buffer serves all. */
const buffer = Buffer.allocUnsafe(CHUNK_BYTES);

/**
 * Reads a file whole and hashes it; one that changes meanwhile is read again. Throws EBUSY when it does not come to rest. `pause` is
 * awaited between two chunks of a large file.
 */
export async function readContent(
  calls: FileCalls,
  tree: Tree,
  path: RelativePath,
  pause: () => Promise<void>,
): Promise<ReadContent> {
  for (let attempt = 1; attempt <= ATTEMPTS; attempt++) {
    const fd = tree.openFile(path);
    try {
      const stats = calls.fstatSync(fd);
      const hash = createHash('sha256');
      let length = 0;
      for (;;) {
        const count = calls.readSync(fd, buffer, 0, CHUNK_BYTES, length);
        if (count === 0) break;
        hash.update(buffer.subarray(0, count));
        length += count;
        if (count === CHUNK_BYTES) await pause();
      }
      const after = calls.fstatSync(fd);
      if (length !== stats.size || !sameVersion(stats, after)) continue;
      return { stats, hash: hash.digest('base64url'), isSettled: isSettled(stats) };
    } finally {
      calls.closeSync(fd);
    }
  }
  throw new TreeError('EBUSY', 'changes all the time: it was read three times and was never at rest');
}

/** Adds the first `length` bytes of an opened file to a hash. False when there are fewer. */
export function hashBeginning(calls: FileCalls, fd: number, length: number, hash: Hash): boolean {
  for (let position = 0; position < length; ) {
    const count = calls.readSync(fd, buffer, 0, Math.min(CHUNK_BYTES, length - position), position);
    if (count === 0) return false;
    hash.update(buffer.subarray(0, count));
    position += count;
  }
  return true;
}

/** Whether nothing has touched the file between two looks. */
export function sameVersion(a: Stats, b: Stats): boolean {
  return a.ino === b.ino && a.size === b.size && a.mtimeMs === b.mtimeMs && a.ctimeMs === b.ctimeMs;
}

function isSettled({ ctimeMs }: Stats): boolean {
  return Math.abs(Date.now() - ctimeMs) > TICK_MS;
}
