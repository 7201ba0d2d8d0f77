import { createHash, randomBytes } from 'node:crypto';
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import {
  averageFor,
  type Chunk,
  chunkEnd,
  decodeChunks,
  encodeChunk,
  isAverage,
  longestChunk,
  longestList,
  stretchesOf,
} from './chunks.ts';

const AVERAGE = 4096;

function lengthsOf(bytes: Uint8Array, average = AVERAGE): number[] {
  const lengths: number[] = [];
  for (let start = 0; start < bytes.length; ) {
    const end = chunkEnd(bytes, start, average);
    lengths.push(end - start);
    start = end;
  }
  return lengths;
}

describe('chunks', () => {
  it('are about as long as asked for, within limits', () => {
    const lengths = lengthsOf(randomBytes(4_000_000));
    const average = 4_000_000 / lengths.length;
    expect([average > AVERAGE / 2, average < AVERAGE * 2]).toEqual([true, true]);
    expect(Math.max(...lengths)).toBeLessThanOrEqual(longestChunk(AVERAGE));
    expect(Math.min(...lengths.slice(0, -1))).toBeGreaterThan(AVERAGE / 4);
    // nothing in it cuts it
    expect(new Set(lengthsOf(Buffer.alloc(longestChunk(AVERAGE) * 3))).size).toBe(1);
  });

  it('are the same in every release', () => {
    const bytes = createHash('shake256', { outputLength: 40_000 }).update('chunks').digest();
    expect(lengthsOf(bytes)).toEqual([7149, 1103, 4904, 1570, 4515, 2560, 2189, 2983, 4391, 7658, 978]);
  });

  it('come back into step behind what was put in', () => {
    const bytes = randomBytes(500_000);
    const other = Buffer.concat([bytes.subarray(0, 50_000), Buffer.from('put in'), bytes.subarray(50_000)]);
    const ends = (all: Buffer) => lengthsOf(all).map((_, index, list) => list.slice(index).reduce((a, b) => a + b, 0));
    const shared = ends(bytes).filter((left) => ends(other).includes(left));
    expect(shared.length).toBeGreaterThan(ends(bytes).length * 0.8);
  });

  it('have an average that fits the size', () => {
    expect([0, 1e6, 5e9, 1e15].map(averageFor)).toEqual([4096, 4096, 262_144, 4_194_304]);
    expect([4096, 262_144, 4_194_304, 2048, 5000, 8_388_608, 0, -4096, Number.NaN].map(isAverage)).toEqual([
      true,
      true,
      true,
      false,
      false,
      false,
      false,
      false,
      false,
    ]);
  });
});

describe('a list of chunks', () => {
  const id = '0123456789abcdef';

  it('arrives as it was sent', () => {
    const chunks: Chunk[] = [
      { length: 5000, id },
      { length: 1, id: 'ffffffffffffffff' },
    ];
    expect(decodeChunks(Buffer.concat(chunks.map(encodeChunk)), 5001, AVERAGE)).toEqual(chunks);
    expect(decodeChunks(Buffer.alloc(0), 0, AVERAGE)).toEqual([]);
  });

  it.each([
    ['is of another size', [{ length: 5000, id }], 4999],
    [
      'has an empty chunk',
      [
        { length: 0, id },
        { length: 5, id },
      ],
      5,
    ],
    ['has a chunk that is too long', [{ length: 20_000, id }], 20_000],
    ['lacks all', [], 1],
  ])('that %s is none', (_, chunks, size) => {
    expect(decodeChunks(Buffer.concat(chunks.map(encodeChunk)), size, AVERAGE)).toBeNull();
  });

  it('of anything at all is none, or makes a file of the right size', () => {
    const list = fc.uint8Array({ maxLength: 60 });
    fc.assert(
      fc.property(list, fc.nat(30_000), (bytes, size) => {
        const chunks = decodeChunks(Buffer.from(bytes), size, AVERAGE);
        if (chunks === null) return;
        expect(stretchesOf(chunks, []).reduce((sum, { length }) => sum + length, 0)).toBe(size);
      }),
    );
    const whole = Buffer.concat(lengthsOf(randomBytes(300_000)).map((length) => encodeChunk({ length, id })));
    expect(whole.length).toBeLessThanOrEqual(longestList(300_000, AVERAGE));
    expect(decodeChunks(whole.subarray(0, -1), 300_000, AVERAGE)).toBeNull();
  });
});

describe('what a new version is made of', () => {
  const chunk = (letter: string, length = 10): Chunk => ({ length, id: letter });
  const named = (letters: string) => [...letters].map((letter) => chunk(letter));

  it.each([
    ['abc', 'abc', [{ offset: 0, length: 30, from: 0 }]],
    ['abc', '', [{ offset: 0, length: 30, from: null }]],
    [
      'aXYc',
      'abc',
      [
        { offset: 0, length: 10, from: 0 },
        { offset: 10, length: 20, from: null },
        { offset: 30, length: 10, from: 20 },
      ],
    ],
    [
      'ca',
      'abc',
      [
        { offset: 0, length: 10, from: 20 },
        { offset: 10, length: 10, from: 0 },
      ],
    ],
  ])('%s from %s', (wanted, here, stretches) => {
    expect(stretchesOf(named(wanted), named(here))).toEqual(stretches);
  });
});
