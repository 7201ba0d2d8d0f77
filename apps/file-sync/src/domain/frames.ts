import { constants, zstdCompressSync, zstdDecompressSync } from 'node:zlib';

/** What travels for a batch of files: for each its beginning, its bytes in pieces, and its end or why there is none. */
export type Frame =
  | { readonly kind: 'begin'; readonly index: number }
  | { readonly kind: 'data'; readonly bytes: Uint8Array }
  | { readonly kind: 'end' }
  | { readonly kind: 'failed'; readonly reason: string };

/** Of what stands before the payload of every frame. */
export const HEAD_BYTES = 5;
/** `packed`: frames, compressed by zstd. */
const KINDS = ['begin', 'data', 'end', 'failed', 'packed'] as const;
/** Of everything but data. */
const PAYLOAD_BYTES_MAX = 4096;
/** Of packed frames, before and behind it. */
const PACKED_BYTES_MAX = 1024 * 1024;
/** Whether it pays is seen on so many bytes; they, and the whole, must shrink to this part. */
const SAMPLE_BYTES = 8192;
const PAYS_BELOW = 0.8;
/** The quickest that zstd has; a link is slower than it. */
const QUICK = { params: { [constants.ZSTD_c_compressionLevel]: 1 } };

/** What was received is not what a peer of ours sends. */
export class ProtocolError extends Error {}

/** One byte for the kind, four for the length of what follows. */
export function encodeHead(kind: (typeof KINDS)[number], length: number): Buffer {
  const head = Buffer.allocUnsafe(HEAD_BYTES);
  head.writeUInt8(KINDS.indexOf(kind), 0);
  head.writeUInt32BE(length, 1);
  return head;
}

/** A whole frame. */
export function encodeFrame(frame: Frame): Buffer {
  if (frame.kind === 'data') return Buffer.concat([encodeHead('data', frame.bytes.length), frame.bytes]);
  const payload = Buffer.from(
    frame.kind === 'begin' ? String(frame.index) : frame.kind === 'failed' ? frame.reason.slice(0, 500) : '',
  );
  return Buffer.concat([encodeHead(frame.kind, payload.length), payload]);
}

/** Whole frames as one packed frame; null when that does not pay. */
export function pack(frames: Uint8Array): Buffer | null {
  if (frames.length < SAMPLE_BYTES || frames.length > PACKED_BYTES_MAX) return null;
  const middle = Math.floor((frames.length - SAMPLE_BYTES) / 2);
  const sample = zstdCompressSync(frames.subarray(middle, middle + SAMPLE_BYTES), QUICK);
  if (sample.length > SAMPLE_BYTES * PAYS_BELOW) return null;
  const packed = zstdCompressSync(frames, QUICK);
  if (packed.length > frames.length * PAYS_BELOW) return null;
  return Buffer.concat([encodeHead('packed', packed.length), packed]);
}

function* unpack(packed: Uint8Array): Generator<Frame> {
  let frames: Buffer;
  try {
    frames = zstdDecompressSync(packed, { maxOutputLength: PACKED_BYTES_MAX });
  } catch {
    throw new ProtocolError('packed frames that cannot be unpacked');
  }
  const reader = new FrameReader(false);
  yield* reader.read(frames);
  reader.end();
}

/** Takes frames out of a stream of bytes. Data come in the pieces in which they arrive: nothing large is held back. */
export class FrameReader {
  private rest: Buffer = Buffer.alloc(0);
  private dataLeft = 0;

  /** @param mayBePacked false for what was packed itself */
  constructor(private readonly mayBePacked = true) {}

  /** The frames in what was received so far. Throws `ProtocolError`. */
  *read(chunk: Uint8Array): Generator<Frame> {
    let bytes =
      this.rest.length === 0
        ? Buffer.from(chunk.buffer, chunk.byteOffset, chunk.length)
        : Buffer.concat([this.rest, chunk]);
    for (;;) {
      if (this.dataLeft > 0) {
        const piece = bytes.subarray(0, this.dataLeft);
        if (piece.length === 0) break;
        this.dataLeft -= piece.length;
        bytes = bytes.subarray(piece.length);
        yield { kind: 'data', bytes: piece };
        continue;
      }
      if (bytes.length < HEAD_BYTES) break;
      const kind = KINDS[bytes.readUInt8(0)];
      const length = bytes.readUInt32BE(1);
      if (kind === undefined) throw new ProtocolError('a frame of an unknown kind');
      if (kind === 'data') {
        this.dataLeft = length;
        bytes = bytes.subarray(HEAD_BYTES);
        continue;
      }
      const isPacked = kind === 'packed';
      if (isPacked && !this.mayBePacked) throw new ProtocolError('packed frames within packed frames');
      if (length > (isPacked ? PACKED_BYTES_MAX : PAYLOAD_BYTES_MAX))
        throw new ProtocolError('a frame that is too long');
      if (bytes.length < HEAD_BYTES + length) break;
      const payload = bytes.subarray(HEAD_BYTES, HEAD_BYTES + length);
      bytes = bytes.subarray(HEAD_BYTES + length);
      if (isPacked) yield* unpack(payload);
      else yield frameOf(kind, payload.toString());
    }
    this.rest = Buffer.from(bytes);
  }

  /** Throws when the stream ended within a frame. */
  end(): void {
    if (this.rest.length > 0 || this.dataLeft > 0) throw new ProtocolError('the stream ended within a frame');
  }
}

function frameOf(kind: 'begin' | 'end' | 'failed', payload: string): Frame {
  if (kind === 'end') return { kind };
  if (kind === 'failed') return { kind, reason: payload };
  if (!/^\d{1,9}$/.test(payload)) throw new ProtocolError('a file without its number');
  return { kind, index: Number(payload) };
}
