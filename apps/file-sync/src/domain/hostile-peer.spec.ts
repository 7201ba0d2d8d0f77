import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { readManifest } from '../engine/peer-client.ts';
import { type Entry, isSafePath, nameOf, parentOf } from './entry.ts';
import { encodeFrame, type Frame, FrameReader, ProtocolError } from './frames.ts';

const HASH = 'A'.repeat(43);
const FILE = { kind: 'file', path: 'a', mode: 0o644, uid: 0, gid: 0, mtimeUs: 0, size: 1, hash: HASH };
const HEAD = { generation: 'run.1', epoch: 1, isPartial: false };

async function* pieces(text: string | Uint8Array, length = 7): AsyncGenerator<Uint8Array> {
  const bytes = Buffer.from(text);
  for (let at = 0; at < bytes.length; at += length) yield bytes.subarray(at, at + length);
}

/** A manifest's entries and removed paths, when it is one. */
async function collected(chunks: AsyncIterable<Uint8Array>): Promise<{ entries: Entry[]; removed: string[] }> {
  const entries: Entry[] = [];
  const removed: string[] = [];
  await readManifest(chunks, {
    head: () => undefined,
    entry: (entry) => entries.push(entry),
    removed: (path) => removed.push(path),
  });
  return { entries, removed };
}

const manifest = (...lines: object[]) => `${lines.map((line) => JSON.stringify(line)).join('\n')}\n`;

describe('a path', () => {
  it.each([
    '',
    '.',
    '..',
    '/',
    '/etc/passwd',
    '../x',
    'a/../x',
    'a/..',
    './a',
    'a//b',
    'a/',
    'a\0b',
    '\u0100',
    '.understudy',
    '.understudy/x',
    'x'.repeat(256),
    `${'d/'.repeat(2048)}x`,
  ])('%j is refused', (path) => {
    expect(isSafePath(path)).toBe(false);
  });

  it.each(['a', '...', '.hidden', '-rf', 'a b', 'line\nbreak', '\u00ff', 'x'.repeat(255), 'a/.understudy'])(
    '%j stays below the root',
    (path) => {
      expect(isSafePath(path)).toBe(true);
      expect(parentOf(path) === '' ? nameOf(path) : `${parentOf(path)}/${nameOf(path)}`).toBe(path);
    },
  );

  it('that is taken never leads out, whatever it is made of', () => {
    const part = fc.constantFrom('..', '.', '', 'a', '/', '\0', '.understudy', '\u00e4', '...');
    fc.assert(
      fc.property(fc.array(part, { maxLength: 8 }), (parts) => {
        const path = parts.join('/');
        if (!isSafePath(path)) return;
        const resolved = new URL(`file:///root/${path.split('/').map(encodeURIComponent).join('/')}`);
        expect(resolved.pathname.startsWith('/root/')).toBe(true);
      }),
    );
  });
});

describe('a manifest', () => {
  it('is read whatever pieces it comes in', async () => {
    const text = manifest(HEAD, { ...FILE, path: '\u00ff\n' }, { removed: 'b' }, { end: 2 });
    for (const length of [1, 2, 3, 1000]) {
      const { entries, removed } = await collected(pieces(text, length));
      expect([entries[0]?.path, removed]).toEqual(['\u00ff\n', ['b']]);
    }
  });

  it.each([
    ['nothing', ''],
    ['no head', manifest(FILE, { end: 1 })],
    ['no end', manifest(HEAD, FILE)],
    ['a part that was not asked for', manifest({ ...HEAD, isUnfinished: true }, FILE, { end: 1 })],
    ['an end that lacks lines', manifest(HEAD, { end: 1 })],
    ['lines behind the end', manifest(HEAD, { end: 0 }, FILE)],
    ['a path that leads out', manifest(HEAD, { ...FILE, path: '../a' }, { end: 1 })],
    ['a removed path that leads out', manifest(HEAD, { removed: '/etc' }, { end: 1 })],
    ['a device', manifest(HEAD, { ...FILE, kind: 'device' }, { end: 1 })],
    ['an owner that is none', manifest(HEAD, { ...FILE, uid: -1 }, { end: 1 })],
    ['a mode with more than permissions', manifest(HEAD, { ...FILE, mode: 0o100644 }, { end: 1 })],
    ['a size that is none', manifest(HEAD, { ...FILE, size: -1 }, { end: 1 })],
    ['a hash that is none', manifest(HEAD, { ...FILE, hash: '../../x' }, { end: 1 })],
    ['a key too many', manifest(HEAD, { ...FILE, more: 1 }, { end: 1 })],
    ['a prototype', manifest(HEAD, JSON.parse('{"__proto__": {"end": 0}}'))],
    ['a line that never ends', `${JSON.stringify(HEAD)}\n${'x'.repeat(100_000)}`],
    ['a last line without its end', manifest(HEAD).trimEnd()],
  ])('of %s is refused', async (_, text) => {
    await expect(collected(pieces(text, 4096))).rejects.toThrow(ProtocolError);
  });

  it('of anything at all is refused or has safe paths only', async () => {
    const value = fc.oneof(
      fc.json(),
      fc.constantFrom(...[HEAD, FILE, { end: 0 }, { removed: 'a' }].map((v) => JSON.stringify(v))),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(value, { maxLength: 6 }), fc.nat(20), async (lines, length) => {
        const read = collected(pieces(`${lines.join('\n')}\n`, length + 1));
        const { entries, removed } = await read.catch((error: unknown) => {
          if (error instanceof ProtocolError) return { entries: [], removed: [] };
          throw error;
        });
        for (const path of [...entries.map((entry) => entry.path), ...removed]) expect(isSafePath(path)).toBe(true);
      }),
      { numRuns: 300 },
    );
  });
});

describe('frames', () => {
  const arbitrary: fc.Arbitrary<Frame> = fc.oneof(
    fc.record({ kind: fc.constant('begin' as const), index: fc.nat(1000) }),
    fc.record({ kind: fc.constant('data' as const), bytes: fc.uint8Array({ minLength: 1, maxLength: 50 }) }),
    fc.record({ kind: fc.constant('end' as const) }),
    fc.record({ kind: fc.constant('failed' as const), reason: fc.string({ maxLength: 20 }) }),
  );

  it('come out as they went in, whatever pieces they come in', () => {
    fc.assert(
      fc.property(fc.array(arbitrary), fc.integer({ min: 1, max: 60 }), (frames, length) => {
        const bytes = Buffer.concat(frames.map(encodeFrame));
        const reader = new FrameReader();
        const found: string[] = [];
        for (let at = 0; at < bytes.length; at += length)
          for (const frame of reader.read(bytes.subarray(at, at + length)))
            found.push(frame.kind === 'data' ? Buffer.from(frame.bytes).toString('hex') : JSON.stringify(frame));
        reader.end();
        const wanted = frames.map((f) =>
          f.kind === 'data' ? Buffer.from(f.bytes).toString('hex') : JSON.stringify(f),
        );
        expect(found.join('')).toBe(wanted.join(''));
      }),
    );
  });

  it('of anything at all end with a refusal, or with frames', () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 40 }), { maxLength: 5 }), (chunks) => {
        const reader = new FrameReader();
        try {
          for (const chunk of chunks) for (const frame of reader.read(chunk)) expect(frame.kind).toBeDefined();
          reader.end();
        } catch (error) {
          if (!(error instanceof ProtocolError)) throw error;
        }
      }),
      { numRuns: 500 },
    );
  });
});
