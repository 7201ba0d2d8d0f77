import { type FileHandle, mkdir, open } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { crc32 } from 'node:zlib';
import type { ServerRecord } from '@understudy/ha-core';
import type { JournalPort } from '@understudy/ha-runtime';
import { syncDirectory } from '@understudy/platform';

const SLOT_BYTES = 8192;
const HEADER_BYTES = 24;
const MAGIC = 0x55535452; // "USTR"

/**
 * The decision journal: a preallocated file of two slots with sequence number, length and checksum. A write goes to the slot that
 * holds the older record and is synced, so that it needs no free space and a crash in the middle of it leaves the newer record whole.
 */
export class Journal implements JournalPort {
  private tail: Promise<void> = Promise.resolve();

  private constructor(
    private readonly handle: FileHandle,
    private sequence: bigint,
    /** The newest whole record at opening, null when there is none. */
    readonly recovered: ServerRecord | null,
  ) {}

  /** Opens or preallocates the journal in a directory. Throws when it can be neither read nor made. */
  static async open(directory: string): Promise<Journal> {
    await mkdir(directory, { recursive: true, mode: 0o700 });
    const file = join(directory, 'decisions');
    const handle = await open(file, 'r+').catch(async (error: NodeJS.ErrnoException) => {
      if (error.code !== 'ENOENT') throw error;
      const created = await open(file, 'wx+', 0o600);
      await created.write(Buffer.alloc(2 * SLOT_BYTES), 0, 2 * SLOT_BYTES, 0);
      await created.sync();
      await syncDirectory(dirname(file));
      return created;
    });
    const content = Buffer.alloc(2 * SLOT_BYTES);
    await handle.read(content, 0, content.length, 0);
    const slots = [readSlot(content.subarray(0, SLOT_BYTES)), readSlot(content.subarray(SLOT_BYTES))];
    const newest = slots.reduce(
      (best, slot) => (slot !== null && (best === null || slot.sequence > best.sequence) ? slot : best),
      null,
    );
    return new Journal(handle, newest?.sequence ?? 0n, newest?.record ?? null);
  }

  /** Writes a record; resolves when it would survive a power loss. Writes happen one after another. */
  write(record: ServerRecord): Promise<void> {
    const written = this.tail.then(() => this.writeSlot(record));
    this.tail = written.catch(() => undefined);
    return written;
  }

  /** Waits for the last write and closes the file. */
  async close(): Promise<void> {
    await this.tail;
    await this.handle.close();
  }

  private async writeSlot(record: ServerRecord): Promise<void> {
    const payload = Buffer.from(JSON.stringify(record));
    if (payload.length > SLOT_BYTES - HEADER_BYTES)
      throw new Error(`the record has ${payload.length} bytes, more than a slot of the journal holds`);
    const sequence = this.sequence + 1n;
    const slot = Buffer.alloc(SLOT_BYTES);
    slot.writeUInt32BE(MAGIC, 0);
    slot.writeBigUInt64BE(sequence, 4);
    slot.writeUInt32BE(payload.length, 12);
    payload.copy(slot, HEADER_BYTES);
    slot.writeUInt32BE(checksum(slot, payload.length), 16);
    await this.handle.write(slot, 0, SLOT_BYTES, Number(sequence % 2n) * SLOT_BYTES);
    await this.handle.datasync();
    this.sequence = sequence;
  }
}

function readSlot(slot: Buffer): { sequence: bigint; record: ServerRecord } | null {
  const length = slot.readUInt32BE(12);
  if (slot.readUInt32BE(0) !== MAGIC || length > SLOT_BYTES - HEADER_BYTES) return null;
  if (slot.readUInt32BE(16) !== checksum(slot, length)) return null;
  return {
    sequence: slot.readBigUInt64BE(4),
    record: JSON.parse(slot.toString('utf8', HEADER_BYTES, HEADER_BYTES + length)) as ServerRecord,
  };
}

function checksum(slot: Buffer, length: number): number {
  return crc32(slot.subarray(HEADER_BYTES, HEADER_BYTES + length), crc32(slot.subarray(0, 16)));
}
