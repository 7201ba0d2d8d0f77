import { randomBytes } from 'node:crypto';
import { zstdCompressSync } from 'node:zlib';
import { describe, expect, it } from '@jest/globals';
import { encodeFrame, encodeHead, type Frame, FrameReader, ProtocolError, pack } from './frames.ts';

const text = Buffer.from('a line of a configuration file\n'.repeat(5000));

function framesIn(bytes: Buffer, length: number): Frame[] {
  const reader = new FrameReader();
  const frames: Frame[] = [];
  for (let at = 0; at < bytes.length; at += length) frames.push(...reader.read(bytes.subarray(at, at + length)));
  reader.end();
  return frames;
}

const contentOf = (frames: Frame[]) =>
  Buffer.concat(frames.flatMap((frame) => (frame.kind === 'data' ? [frame.bytes] : [])));

describe('packed frames', () => {
  const frames = Buffer.concat([
    encodeFrame({ kind: 'begin', index: 7 }),
    encodeFrame({ kind: 'data', bytes: text }),
    encodeFrame({ kind: 'end' }),
  ]);

  it.each([1000, 1_000_000])('are what they were, in pieces of %i bytes', (length) => {
    const packed = pack(frames);
    expect(packed?.length).toBeLessThan(frames.length / 10);
    const found = framesIn(Buffer.concat([packed ?? frames, encodeFrame({ kind: 'failed', reason: 'no' })]), length);
    expect([found.at(0), found.at(-2), found.at(-1)]).toEqual([
      { kind: 'begin', index: 7 },
      { kind: 'end' },
      { kind: 'failed', reason: 'no' },
    ]);
    expect(contentOf(found).equals(text)).toBe(true);
  });

  it('are not made of what hardly shrinks, or is little', () => {
    expect(pack(encodeFrame({ kind: 'data', bytes: randomBytes(100_000) }))).toBeNull();
    expect(pack(encodeFrame({ kind: 'end' }))).toBeNull();
  });

  const packedOf = (payload: Buffer) => Buffer.concat([encodeHead('packed', payload.length), payload]);
  it.each([
    ['nothing that was packed', packedOf(Buffer.from('no zstd'))],
    [
      'more than may come out',
      packedOf(zstdCompressSync(encodeFrame({ kind: 'data', bytes: Buffer.alloc(10_000_000) }))),
    ],
    ['a frame that breaks off', packedOf(zstdCompressSync(frames.subarray(0, -3)))],
    ['packed frames again', packedOf(zstdCompressSync(packedOf(zstdCompressSync(frames))))],
    ['more than may be packed', encodeHead('packed', 100_000_000)],
  ])('of %s are refused', (_, bytes) => {
    expect(() => framesIn(bytes, bytes.length)).toThrow(ProtocolError);
  });
});
