import { createHash, type Hash, hash } from 'node:crypto';
import type { Stats } from 'node:fs';
import type { Attributes, RelativePath } from '../domain/entry.ts';
import type { FileCalls } from '../ports/file-calls.ts';
import type { ExtendedAttributes } from './extended-attributes.ts';
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
  /** Undefined: none, or not asked for. */
  readonly attributes: Attributes | undefined;
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
  attributes: ExtendedAttributes | null = null,
): Promise<ReadContent> {
  for (let attempt = 1; attempt <= ATTEMPTS; attempt++) {
    const { fd, stats } = tree.openFile(path);
    try {
      const digest = stats.size <= CHUNK_BYTES ? hashSmall(calls, fd, stats) : await hashLarge(calls, fd, stats, pause);
      const found = attributes?.read(fd);
      if (digest === null || !sameVersion(stats, calls.fstatSync(fd))) continue;
      return { stats, hash: digest, attributes: found, isSettled: isSettled(stats) };
    } finally {
      calls.closeSync(fd);
    }
  }
  throw new TreeError('EBUSY', 'changes all the time: it was read three times and was never at rest');
}

/** Null: it is shorter than it was. */
function hashSmall(calls: FileCalls, fd: number, { size }: Stats): string | null {
  const count = size === 0 ? 0 : calls.readSync(fd, buffer, 0, size, 0);
  return count === size ? hashOf(buffer.subarray(0, count)) : null;
}

async function hashLarge(
  calls: FileCalls,
  fd: number,
  { size }: Stats,
  pause: () => Promise<void>,
): Promise<string | null> {
  const digest = createHash('sha256');
  for (let position = 0; position < size; ) {
    const count = calls.readSync(fd, buffer, 0, Math.min(CHUNK_BYTES, size - position), position);
    if (count === 0) return null;
    digest.update(buffer.subarray(0, count));
    position += count;
    await pause();
  }
  return digest.digest('base64url');
}

/** SHA-256 of bytes that are there as a whole, base64url: quicker than a hash that is fed. */
export function hashOf(bytes: Uint8Array): string {
  return hash('sha256', bytes, 'base64url');
}

/** SHA-256 of bytes, hex. */
export function hashHexOf(bytes: Uint8Array): string {
  return hash('sha256', bytes, 'hex');
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
