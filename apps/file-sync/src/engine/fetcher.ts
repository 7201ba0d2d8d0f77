import { createHash, type Hash } from 'node:crypto';
import { type FileEntry, type RelativePath, shownPath } from '../domain/entry.ts';
import { type Frame, ProtocolError } from '../domain/frames.ts';
import type { Want } from '../domain/protocol.ts';
import type { FileCalls } from '../ports/file-calls.ts';
import { writeWhole } from './aside.ts';
import { hashBeginning, hashOf } from './file-content.ts';
import type { Inventory } from './inventory.ts';
import { isUnchanged, type Problem, reasonOf } from './scanner.ts';
import type { Staged, Staging } from './staging.ts';
import { isRefused, type Tree, TreeError } from './tree.ts';

/** A batch: so many files, so many bytes, or one file that is larger. */
const BATCH_FILES = 512;
const BATCH_BYTES = 8 * 1024 * 1024;
const COPY_BYTES = 256 * 1024;
/** What comes in is gathered to so many bytes before it is written: it comes in pieces of 16 KiB at most. */
const GATHERED_BYTES = 1024 * 1024;

/** Where the content of files comes from. */
export type OpenContent = (wants: readonly Want[]) => AsyncIterable<Frame>;

const PART = '.part';

/** Name of a file that is being received: an earlier run's goes on, when the content is still wanted. */
export function partName(hash: string): string {
  return `${hash}${PART}`;
}

export function isPartName(name: string): boolean {
  return name.endsWith(PART);
}

/** Splits files into batches, the order kept. */
export function batchesOf(files: readonly FileEntry[]): FileEntry[][] {
  const batches: FileEntry[][] = [];
  let bytes = 0;
  for (const file of files) {
    const batch = batches.at(-1);
    if (batch === undefined || batch.length >= BATCH_FILES || bytes + file.size > BATCH_BYTES) {
      batches.push([file]);
      bytes = file.size;
    } else {
      batch.push(file);
      bytes += file.size;
    }
  }
  return batches;
}

/** A file that is coming in. `written`: bytes that are in the file; `gathered`: bytes behind them that are not yet. */
interface Receiving {
  readonly entry: FileEntry;
  readonly fd: number;
  /** Of what is written; null: nothing is. */
  hash: Hash | null;
  written: number;
  readonly buffer: Buffer;
  readonly onPart: (bytes: number) => void;
  gathered: number;
}

/** Completes files in the staging directory: from the peer, or from what this server has already. */
export class Fetcher {
  readonly problems: Problem[] = [];
  /** Bytes of content received from the peer. */
  receivedBytes = 0;

  constructor(
    private readonly calls: FileCalls,
    private readonly staging: Staging,
    private readonly openContent: OpenContent,
  ) {}

  /**
   * Receives a batch of files of different content. What fails is told by file; a broken connection is thrown.
   * @param onPart told of each piece of a file that is larger than what is gathered: its bytes
   */
  async receive(batch: readonly FileEntry[], onPart: (bytes: number) => void = () => undefined): Promise<Staged[]> {
    const staged: Staged[] = [];
    const wants = batch.map(({ path, hash, size }) => ({ path, hash, offset: this.beginning(hash, size) }));
    const buffer = Buffer.allocUnsafe(Math.min(GATHERED_BYTES, Math.max(0, ...batch.map(({ size }) => size))));
    let entry: FileEntry | null = null;
    let file: Receiving | null = null;
    let next = 0;
    try {
      for await (const frame of this.openContent(wants)) {
        if (frame.kind === 'begin') {
          const want = wants[frame.index];
          entry = frame.index === next && entry === null ? (batch[next] ?? null) : null;
          if (entry === null || want === undefined) throw new ProtocolError('a file that was not asked for');
          next += 1;
          file = this.attempt(entry, () => this.begin(batch[frame.index] as FileEntry, want, { buffer, onPart }));
          continue;
        }
        if (entry === null) throw new ProtocolError('bytes of no file');
        // one that could not be written is passed over: the others come behind it
        const receiving = file;
        if (frame.kind === 'data') {
          if (receiving === null || this.attempt(entry, () => this.take(receiving, frame.bytes)) !== null) continue;
          this.calls.closeSync(receiving.fd);
          file = null;
          continue;
        }
        file = null;
        if (frame.kind === 'failed') {
          if (receiving !== null) this.calls.closeSync(receiving.fd);
          this.fail(entry.path, frame.reason);
        } else if (receiving !== null) {
          const done = this.attempt(entry, () => this.finish(receiving));
          if (done !== null) staged.push(done);
        }
        entry = null;
      }
      if (next !== batch.length || entry !== null) throw new ProtocolError('the peer has left out files');
    } finally {
      if (file !== null) this.keepBeginning(file);
    }
    return staged;
  }

  /**
   * Takes content that is here under another name: linked when that name is about to go, else copied. Null when it is not what was
   * expected; then it has to be received.
   */
  reuse(tree: Tree, inventory: Inventory, from: RelativePath, entry: FileEntry, isGoing: boolean): Staged | null {
    const stats = tree.stat(from);
    const tracked = inventory.entries.get(from);
    if (stats === null || tracked === undefined || !isUnchanged(tracked, stats)) return null;
    const name = this.staging.newName();
    if (isGoing && stats.nlink === 1) {
      this.calls.linkSync(tree.place(from), this.staging.place(name));
      const fd = this.staging.openFile(name);
      try {
        this.staging.giveMetadata(fd, entry);
      } finally {
        this.calls.closeSync(fd);
      }
      return { name, entry };
    }
    const { fd: source } = tree.openFile(from);
    try {
      const fd = this.staging.createFile(name);
      try {
        const buffer = Buffer.allocUnsafe(COPY_BYTES);
        const hash = createHash('sha256');
        for (let position = 0; ; ) {
          const count = this.calls.readSync(source, buffer, 0, COPY_BYTES, position);
          if (count === 0) break;
          hash.update(buffer.subarray(0, count));
          writeWhole(this.calls, fd, buffer.subarray(0, count), position);
          position += count;
        }
        if (hash.digest('base64url') === entry.hash) {
          this.staging.giveMetadata(fd, entry);
          return { name, entry };
        }
      } finally {
        this.calls.closeSync(fd);
      }
    } finally {
      this.calls.closeSync(source);
    }
    this.staging.discard(name);
    return null;
  }

  /** Stages content once more that is staged already, for another name. */
  again({ name: from }: Staged, entry: FileEntry): Staged {
    const name = this.staging.newName();
    const source = this.staging.openFile(from);
    try {
      const fd = this.staging.createFile(name);
      try {
        const buffer = Buffer.allocUnsafe(COPY_BYTES);
        for (let position = 0; ; ) {
          const count = this.calls.readSync(source, buffer, 0, COPY_BYTES, position);
          if (count === 0) break;
          writeWhole(this.calls, fd, buffer.subarray(0, count), position);
          position += count;
        }
        this.staging.giveMetadata(fd, entry);
        return { name, entry };
      } finally {
        this.calls.closeSync(fd);
      }
    } finally {
      this.calls.closeSync(source);
    }
  }

  /** How much of a file an earlier run has received. */
  private beginning(hash: string, size: number): number {
    const name = partName(hash);
    if (!this.staging.isLeft(name)) return 0;
    try {
      const { size: present } = this.calls.lstatSync(this.staging.place(name));
      if (present <= size) return present;
    } catch {
      return 0;
    }
    this.staging.discard(name);
    return 0;
  }

  private begin(entry: FileEntry, { offset }: Want, means: Pick<Receiving, 'buffer' | 'onPart'>): Receiving {
    const fd = this.staging.openFile(partName(entry.hash));
    const hash = offset === 0 ? null : createHash('sha256');
    if (hash === null || hashBeginning(this.calls, fd, offset, hash))
      return { entry, fd, hash, written: offset, ...means, gathered: 0 };
    this.calls.closeSync(fd);
    throw new TreeError('ENOENT', 'what was received of it has gone');
  }

  private take(file: Receiving, bytes: Uint8Array): true {
    if (file.written + file.gathered + bytes.length > file.entry.size)
      throw new ProtocolError('more bytes than the file has');
    this.receivedBytes += bytes.length;
    for (let taken = 0; taken < bytes.length; ) {
      const piece = bytes.subarray(taken, taken + file.buffer.length - file.gathered);
      file.buffer.set(piece, file.gathered);
      file.gathered += piece.length;
      taken += piece.length;
      if (file.gathered === file.buffer.length && taken < bytes.length) this.write(file);
    }
    return true;
  }

  private write(file: Receiving): void {
    const bytes = file.buffer.subarray(0, file.gathered);
    writeWhole(this.calls, file.fd, bytes, file.written);
    file.hash ??= createHash('sha256');
    file.hash.update(bytes);
    file.written += bytes.length;
    file.gathered = 0;
    file.onPart(bytes.length);
  }

  private finish(file: Receiving): Staged | null {
    const { entry, fd, buffer, gathered } = file;
    const name = partName(entry.hash);
    try {
      const bytes = buffer.subarray(0, gathered);
      const digest = file.hash === null ? hashOf(bytes) : file.hash.update(bytes).digest('base64url');
      if (file.written + gathered === entry.size && digest === entry.hash) {
        writeWhole(this.calls, fd, bytes, file.written);
        this.staging.giveMetadata(fd, entry);
        return { name, entry };
      }
    } finally {
      this.calls.closeSync(fd);
    }
    this.staging.discard(name);
    this.fail(entry.path, 'it has changed while it was sent');
    return null;
  }

  /** The connection has broken: the next run goes on from here. */
  private keepBeginning(file: Receiving): void {
    try {
      this.attempt(file.entry, () => this.write(file));
    } finally {
      this.calls.closeSync(file.fd);
    }
  }

  /** Null when the system refuses it, which is then this file's problem. */
  private attempt<T>({ path }: FileEntry, work: () => T): T | null {
    try {
      return work();
    } catch (error) {
      if (!isRefused(error)) throw error;
      this.fail(path, reasonOf(error));
      return null;
    }
  }

  private fail(path: RelativePath, message: string): void {
    this.problems.push({ path: shownPath(path), message, isSkipped: false });
  }
}
