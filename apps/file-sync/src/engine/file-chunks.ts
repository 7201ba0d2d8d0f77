import { type Chunk, chunkEnd, longestChunk } from '../domain/chunks.ts';
import type { FileCalls } from '../ports/file-calls.ts';
import { hashHexOf } from './file-content.ts';

const ID_DIGITS = 16;
/** Read at once besides the longest chunk. */
const READ_BYTES = 1024 * 1024;

/**
 * Cuts an opened file's first `size` bytes into chunks. Ends early when there are fewer. `pause` is awaited between two reads. Throws as
 * `read(2)` does.
 */
export async function* chunksOf(
  calls: FileCalls,
  fd: number,
  size: number,
  average: number,
  pause: () => Promise<void>,
): AsyncGenerator<Chunk> {
  const longest = longestChunk(average);
  const buffer = Buffer.allocUnsafeSlow(Math.min(size, longest + READ_BYTES));
  let held = 0;
  for (let position = 0; position < size; ) {
    await pause();
    const count = calls.readSync(fd, buffer, held, Math.min(buffer.length - held, size - position), position);
    if (count === 0) return;
    position += count;
    held += count;
    let start = 0;
    const bytes = buffer.subarray(0, held);
    while (held - start >= longest || (position === size && start < held)) {
      const end = chunkEnd(bytes, start, average);
      yield { length: end - start, id: hashHexOf(bytes.subarray(start, end)).slice(0, ID_DIGITS) };
      start = end;
    }
    buffer.copyWithin(0, start, held);
    held -= start;
  }
}
