import { createHash } from 'node:crypto';

/**
 * A piece of a file that its content cuts off, so that most pieces of two versions are the same even where bytes were inserted. `length`
 * in bytes; `id`: the first 64 bits of its SHA-256 as 16 hex digits. Two pieces that only look the same are found out by the hash of
 * the whole file.
 */
export interface Chunk {
  readonly length: number;
  readonly id: string;
}

/** Smallest and largest average length of a chunk, in bytes. */
const AVERAGE_MIN = 4 * 1024;
const AVERAGE_MAX = 4 * 1024 * 1024;
/** Bytes that a chunk takes in the list that travels: four for the length, eight for the id. */
const LISTED_BYTES = 12;
/** Limits of a chunk's length as parts of the average. */
const SHORTEST_PART = 1 / 4;
const LONGEST_PART = 4;

/**
 * The average length with which the least travels for a small change in a file of `size` bytes: the list grows with the number of chunks,
 * what is sent for nothing with their length. A power of two.
 */
export function averageFor(size: number): number {
  const best = 2 ** Math.round(Math.log2(Math.sqrt(LISTED_BYTES * Math.max(1, size))));
  return Math.min(AVERAGE_MAX, Math.max(AVERAGE_MIN, best));
}

/** Whether it is one that `averageFor` gives. */
export function isAverage(value: number): boolean {
  return value >= AVERAGE_MIN && value <= AVERAGE_MAX && Number.isInteger(Math.log2(value));
}

/** Bytes of the longest chunk. */
export function longestChunk(average: number): number {
  return average * LONGEST_PART;
}

/** One number for each value of a byte, the same in every release. */
const GEAR = Uint32Array.from({ length: 256 }, (_, value) =>
  createHash('sha256').update(`chunk ${value}`).digest().readUInt32BE(),
);

/**
 * Where the chunk that begins at `start` ends (FastCDC: a gear hash whose upper bits are 0, rarer before the average length than behind it).
 * `bytes` must hold the longest chunk from there on, or the rest of the file.
 */
export function chunkEnd(bytes: Uint8Array, start: number, average: number): number {
  const end = Math.min(bytes.length, start + average * LONGEST_PART);
  const middle = Math.min(end, start + average);
  const bits = Math.log2(average);
  const rare = -1 << (32 - bits - 1);
  const frequent = -1 << (32 - bits + 1);
  let hash = 0;
  let at = start + average * SHORTEST_PART;
  for (; at < middle; at++) {
    hash = ((hash << 1) + (GEAR[bytes[at] as number] as number)) | 0;
    if ((hash & rare) === 0) return at + 1;
  }
  for (; at < end; at++) {
    hash = ((hash << 1) + (GEAR[bytes[at] as number] as number)) | 0;
    if ((hash & frequent) === 0) return at + 1;
  }
  return end;
}

/** A chunk as it travels. */
export function encodeChunk({ length, id }: Chunk): Buffer {
  const bytes = Buffer.alloc(LISTED_BYTES);
  bytes.writeUInt32BE(length);
  bytes.write(id, 4, 'hex');
  return bytes;
}

/** Most bytes that the list of a file of `size` bytes has. */
export function longestList(size: number, average: number): number {
  return (Math.ceil(size / (average * SHORTEST_PART)) + 1) * LISTED_BYTES;
}

/** The chunks of a list as it travelled; null when it is none of a file of `size` bytes. */
export function decodeChunks(list: Buffer, size: number, average: number): Chunk[] | null {
  const chunks: Chunk[] = [];
  let left = size;
  for (let at = 0; at + LISTED_BYTES <= list.length; at += LISTED_BYTES) {
    const length = list.readUInt32BE(at);
    if (length === 0 || length > longestChunk(average)) return null;
    chunks.push({ length, id: list.toString('hex', at + 4, at + LISTED_BYTES) });
    left -= length;
  }
  return left === 0 && list.length % LISTED_BYTES === 0 ? chunks : null;
}

/** A stretch of the new version: bytes from `offset` on, `length` of them. `from`: where they are in the old one; null: nowhere. */
export interface Stretch {
  readonly offset: number;
  readonly length: number;
  readonly from: number | null;
}

/** How to make the new version from the old one, in order, neighbours joined. */
export function stretchesOf(wanted: readonly Chunk[], here: readonly Chunk[]): Stretch[] {
  const places = new Map<string, number>();
  let place = 0;
  for (const { id, length } of here) {
    places.set(`${id} ${length}`, place);
    place += length;
  }
  const stretches: Stretch[] = [];
  let offset = 0;
  for (const { id, length } of wanted) {
    const from = places.get(`${id} ${length}`) ?? null;
    const last = stretches.at(-1);
    const goesOn = last !== undefined && (last.from === null ? from === null : from === last.from + last.length);
    if (goesOn && last !== undefined) stretches[stretches.length - 1] = { ...last, length: last.length + length };
    else stretches.push({ offset, length, from });
    offset += length;
  }
  return stretches;
}
