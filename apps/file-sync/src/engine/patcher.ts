import { createHash } from 'node:crypto';
import { averageFor, type Chunk, type Stretch, stretchesOf } from '../domain/chunks.ts';
import type { FileEntry } from '../domain/entry.ts';
import { ProtocolError } from '../domain/frames.ts';
import { WANTS_MAX } from '../domain/protocol.ts';
import type { FileCalls } from '../ports/file-calls.ts';
import { writeWhole } from './aside.ts';
import { type OpenContent, partName } from './fetcher.ts';
import { chunksOf } from './file-chunks.ts';
import { hashBeginning } from './file-content.ts';
import type { Inventory } from './inventory.ts';
import type { Staged, Staging } from './staging.ts';
import { isRefused, type Tree } from './tree.ts';

/** From this size on a changed file is sent in part; below, asking for its chunks costs as much. */
const SMALLEST_BYTES = 1024 * 1024;
/** With more than this part missing it is taken as a whole. */
const LARGEST_PART = 0.8;
const COPY_BYTES = 1024 * 1024;
const GAP_BYTES = 64 * 1024 * 1024;

/** The chunks of a file's wanted version on the active server; null: it does not tell them. */
export type AskChunks = (entry: FileEntry, average: number) => Promise<Chunk[] | null>;

/** What a new version is made with. */
export interface PatcherParts {
  readonly calls: FileCalls;
  readonly tree: Tree;
  readonly inventory: Inventory;
  readonly staging: Staging;
  readonly openContent: OpenContent;
  readonly askChunks: AskChunks;
  readonly pause: () => Promise<void>;
}

/** Makes the new version of a large file from the old one, and receives only what that has not got. */
export class Patcher {
  /** Bytes of content received from the peer. */
  receivedBytes = 0;

  constructor(private readonly parts: PatcherParts) {}

  /** Whether there is an old version that may help. */
  isMeant({ path, size }: FileEntry): boolean {
    const old = this.parts.inventory.entries.get(path)?.entry;
    return size >= SMALLEST_BYTES && old?.kind === 'file' && old.size >= SMALLEST_BYTES;
  }

  /**
   * Completes a file in the staging directory. Null when it has to be received as a whole: too little is the same, something has changed
   * meanwhile, or the connection has broken. What is in the file by then is taken up by the next run.
   */
  async patch(entry: FileEntry): Promise<Staged | null> {
    try {
      return await this.tryTo(entry);
    } catch (error) {
      // whatever the system refuses here, it says again when the file is received as a whole
      if (!isRefused(error)) throw error;
      return null;
    }
  }

  private async tryTo(entry: FileEntry): Promise<Staged | null> {
    const { calls, tree, askChunks, pause } = this.parts;
    const { fd, stats } = tree.openFile(entry.path);
    try {
      // whatever it has become since it was looked at: the hash of what is made with it decides
      const average = averageFor(entry.size);
      const asking = askChunks(entry, average);
      // both servers cut at the same time
      const [asked, cut] = await Promise.allSettled([asking, listed(chunksOf(calls, fd, stats.size, average, pause))]);
      if (asked.status === 'rejected') throw asked.reason;
      if (cut.status === 'rejected') throw cut.reason;
      if (asked.value === null) return null;
      const stretches = stretchesOf(asked.value, cut.value);
      const missing = stretches.reduce((sum, { from, length }) => sum + (from === null ? length : 0), 0);
      return missing > entry.size * LARGEST_PART ? null : await this.assemble(entry, stretches, fd);
    } finally {
      calls.closeSync(fd);
    }
  }

  private async assemble(entry: FileEntry, stretches: readonly Stretch[], source: number): Promise<Staged | null> {
    const { calls, staging } = this.parts;
    const name = partName(entry.hash);
    const fd = staging.openFile(name);
    try {
      const done = Math.min(entry.size, calls.fstatSync(fd).size);
      const hash = createHash('sha256');
      if (!hashBeginning(calls, fd, done, hash)) return null;
      let length = done;
      for await (const bytes of this.content(
        entry,
        stretches.flatMap((stretch) => after(stretch, done)),
        source,
      )) {
        writeWhole(calls, fd, bytes, length);
        hash.update(bytes);
        length += bytes.length;
      }
      if (length === entry.size && hash.digest('base64url') === entry.hash) {
        staging.giveMetadata(fd, entry);
        return { name, entry };
      }
    } finally {
      calls.closeSync(fd);
    }
    staging.discard(name);
    return null;
  }

  /** The bytes of stretches in order, from the old version and from the peer. Ends early when either has not got them any more. */
  private async *content(entry: FileEntry, stretches: readonly Stretch[], source: number): AsyncGenerator<Uint8Array> {
    const missing = stretches.filter(({ from }) => from === null);
    const received = this.receive(entry, missing);
    try {
      for (const stretch of stretches) {
        if (stretch.from !== null) yield* this.copy(source, stretch.from, stretch.length);
        else
          for (let left = stretch.length; left > 0; ) {
            const { value, done } = await received.next();
            if (done) return;
            if (value.length > left) throw new ProtocolError('more bytes than were asked for');
            left -= value.length;
            this.receivedBytes += value.length;
            yield value;
          }
      }
    } finally {
      await received.return(undefined);
    }
  }

  private async *copy(source: number, from: number, length: number): AsyncGenerator<Uint8Array> {
    const { calls, pause } = this.parts;
    const buffer = Buffer.allocUnsafeSlow(Math.min(COPY_BYTES, length));
    for (let copied = 0; copied < length; ) {
      await pause();
      const count = calls.readSync(source, buffer, 0, Math.min(buffer.length, length - copied), from + copied);
      if (count === 0) return;
      yield buffer.subarray(0, count);
      copied += count;
    }
  }

  /** What the peer sends for stretches, their bytes one after the other. Ends early when it has not got them any more. */
  private async *receive({ path, hash }: FileEntry, stretches: readonly Stretch[]): AsyncGenerator<Uint8Array> {
    for (const group of groupsOf(stretches)) {
      const wants = group.map(({ offset, length }) => ({ path, hash, offset, length }));
      for await (const frame of this.parts.openContent(wants)) {
        if (frame.kind === 'data') yield frame.bytes;
        if (frame.kind === 'failed') return;
      }
    }
  }
}

/** Stretches that are asked for at once: no connection waits long while what lies between them is copied. */
function groupsOf(stretches: readonly Stretch[]): Stretch[][] {
  const groups: Stretch[][] = [];
  let end = 0;
  for (const stretch of stretches) {
    const group = groups.at(-1);
    if (group === undefined || group.length === WANTS_MAX || stretch.offset - end > GAP_BYTES) groups.push([stretch]);
    else group.push(stretch);
    end = stretch.offset + stretch.length;
  }
  return groups;
}

/** The part of a stretch that lies behind the first `done` bytes. */
function after({ offset, length, from }: Stretch, done: number): Stretch[] {
  const skipped = Math.max(0, done - offset);
  if (skipped >= length) return [];
  return [{ offset: offset + skipped, length: length - skipped, from: from === null ? null : from + skipped }];
}

async function listed<T>(values: AsyncIterable<T>): Promise<T[]> {
  const list: T[] = [];
  for await (const value of values) list.push(value);
  return list;
}
