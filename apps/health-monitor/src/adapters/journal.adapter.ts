import { createHash } from 'node:crypto';
import { type FileHandle, mkdir, open, rename, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { crc32 } from 'node:zlib';
import type { ServerRecord } from '@understudy/ha-core';
import { syncDirectory } from '@understudy/platform';
import type { RecoveredJournal } from '../domain/recollection.ts';
import type { DecisionJournal } from '../ports/decision-journal.port.ts';

const SLOT_BYTES = 8192;
const HEADER_BYTES = 24;
const MAGIC = 0x55535452; // "USTR"

/**
 * The decision journal: a preallocated file of two slots with sequence number, length and checksum. A write goes to the slot that
 * holds the older record and is synced, so that it needs no free space and a crash in the middle of it leaves the newer record whole.
 */
export class Journal implements DecisionJournal {
  private tail: Promise<void> = Promise.resolve();

  private constructor(
    private readonly file: string,
    private readonly owner: number,
    private handle: FileHandle,
    readonly recovered: RecoveredJournal,
    private sequence: number,
  ) {}

  /**
   * Opens or preallocates the journal in a directory. One that cannot be read is set aside as `decisions.unreadable`. Throws when it can
   * be neither read nor made.
   *
   * @param server what tells this server from any other, e.g. the fingerprint of its certificate
   */
  static async open(directory: string, server: string): Promise<Journal> {
    await mkdir(directory, { recursive: true, mode: 0o700 });
    const file = join(directory, 'decisions');
    const owner = createHash('sha256').update(server).digest().readUInt32BE(0);
    const existing = await openExisting(file);
    if (existing === 'absent' || existing === 'unreadable') {
      const isDamaged = existing === 'unreadable';
      if (isDamaged) await rename(file, `${file}.unreadable`);
      return new Journal(file, owner, await create(directory, file), { kept: null, sequence: 0, isDamaged }, 0);
    }
    const recovered = recover(existing.content, owner);
    return new Journal(file, owner, existing.handle, recovered, recovered.sequence);
  }

  /** Sequence numbers go on after this one, which the node store knows of. */
  continueAfter(sequence: number): void {
    this.sequence = Math.max(this.sequence, sequence);
  }

  /** Writes a record; resolves with its sequence number when it would survive a power loss. Writes happen one after another. */
  write(record: ServerRecord): Promise<number> {
    const written = this.tail.then(() => this.writeSlot(record));
    this.tail = written.then(
      () => undefined,
      () => undefined,
    );
    return written;
  }

  /** Whether the file that is written to is the one that the next start will find. */
  async isInPlace(): Promise<boolean> {
    const [own, found] = await Promise.all([this.handle.stat(), stat(this.file).catch(() => null)]);
    return found !== null && found.ino === own.ino && found.dev === own.dev && found.size >= 2 * SLOT_BYTES;
  }

  /** Waits for the last write and closes the file. */
  async close(): Promise<void> {
    await this.tail;
    await this.handle.close();
  }

  private async writeSlot(record: ServerRecord): Promise<number> {
    const payload = Buffer.from(JSON.stringify(record));
    if (payload.length > SLOT_BYTES - HEADER_BYTES)
      throw new Error(`the record has ${payload.length} bytes, more than a slot of the journal holds`);
    if (!(await this.isInPlace())) await this.remake();
    const sequence = this.sequence + 1;
    const slot = Buffer.alloc(SLOT_BYTES);
    slot.writeUInt32BE(MAGIC, 0);
    slot.writeBigUInt64BE(BigInt(sequence), 4);
    slot.writeUInt32BE(payload.length, 12);
    slot.writeUInt32BE(this.owner, 20);
    payload.copy(slot, HEADER_BYTES);
    slot.writeUInt32BE(checksum(slot, payload.length), 16);
    await this.handle.write(slot, 0, SLOT_BYTES, (sequence % 2) * SLOT_BYTES);
    await this.handle.datasync();
    this.sequence = sequence;
    return sequence;
  }

  /** The file was removed, replaced or cut short while it was written to. */
  private async remake(): Promise<void> {
    const directory = dirname(this.file);
    await mkdir(directory, { recursive: true, mode: 0o700 });
    await rename(this.file, `${this.file}.unreadable`).catch(() => undefined);
    const handle = await create(directory, this.file);
    await this.handle.close().catch(() => undefined);
    this.handle = handle;
  }
}

async function create(directory: string, file: string): Promise<FileHandle> {
  const created = await open(file, 'wx+', 0o600);
  await created.write(Buffer.alloc(2 * SLOT_BYTES), 0, 2 * SLOT_BYTES, 0);
  await created.sync();
  await syncDirectory(directory);
  return created;
}

async function openExisting(file: string): Promise<{ handle: FileHandle; content: Buffer } | 'absent' | 'unreadable'> {
  try {
    const handle = await open(file, 'r+');
    const content = Buffer.alloc(2 * SLOT_BYTES);
    const { bytesRead } = await handle.read(content, 0, content.length, 0);
    return { handle, content: content.subarray(0, bytesRead) };
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ENOENT' ? 'absent' : 'unreadable';
  }
}

function recover(content: Buffer, owner: number): RecoveredJournal {
  const whole = Buffer.alloc(2 * SLOT_BYTES);
  content.copy(whole);
  const slots = [readSlot(whole.subarray(0, SLOT_BYTES)), readSlot(whole.subarray(SLOT_BYTES))];
  const good = slots.filter((slot) => typeof slot === 'object');
  const newest = good.toSorted((a, b) => b.sequence - a.sequence)[0];
  const isDamaged = content.length < whole.length || slots.includes('damaged');
  if (newest === undefined) return { kept: null, sequence: 0, isDamaged };
  const isOwn = newest.owner === owner || newest.owner === 0;
  return { kept: { record: newest.record, isOwn }, sequence: newest.sequence, isDamaged };
}

type Slot = { readonly sequence: number; readonly owner: number; readonly record: ServerRecord };

function readSlot(slot: Buffer): Slot | 'empty' | 'damaged' {
  if (slot.every((byte) => byte === 0)) return 'empty';
  const length = slot.readUInt32BE(12);
  if (slot.readUInt32BE(0) !== MAGIC || length > SLOT_BYTES - HEADER_BYTES) return 'damaged';
  if (slot.readUInt32BE(16) !== checksum(slot, length)) return 'damaged';
  return {
    sequence: Number(slot.readBigUInt64BE(4)),
    owner: slot.readUInt32BE(20),
    record: JSON.parse(slot.toString('utf8', HEADER_BYTES, HEADER_BYTES + length)) as ServerRecord,
  };
}

function checksum(slot: Buffer, length: number): number {
  return crc32(slot.subarray(HEADER_BYTES, HEADER_BYTES + length), crc32(slot.subarray(0, 16)));
}
