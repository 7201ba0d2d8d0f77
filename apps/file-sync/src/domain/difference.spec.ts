import { expect, it } from '@jest/globals';
import { differencesOf } from './difference.ts';
import type { Entry } from './entry.ts';

const file = (path: string, more: object = {}): Entry => ({
  ...{ kind: 'file', path, mode: 0o644, uid: 0, gid: 0, mtimeUs: 0, size: 1, hash: 'A' },
  ...(more as object as Partial<Extract<Entry, { kind: 'file' }>>),
});
const link = (path: string): Entry => ({ kind: 'link', path, uid: 0, gid: 0, target: 'x' });
const directory = (path: string): Entry => ({ kind: 'directory', path, uid: 0, gid: 0, mode: 0o755 });

it('what differs is named by how it does, in the order of the paths', () => {
  const wanted = [
    file('same'),
    file('other', { hash: 'B' }),
    file('mode', { mode: 0o600 }),
    file('new'),
    directory('d'),
  ];
  const here = [file('same'), file('other'), file('mode'), link('extra'), link('d')];
  const byPath = (entries: Entry[]) => new Map(entries.map((entry) => [entry.path, entry]));
  const own = byPath(here);
  const hereAt = (path: string) => own.get(path);
  expect(differencesOf({ wanted, hereAt, extra: ['extra'], withOwner: true })).toEqual([
    { path: 'd', what: 'kind' },
    { path: 'extra', what: 'extra-here' },
    { path: 'mode', what: 'metadata' },
    { path: 'new', what: 'missing-here' },
    { path: 'other', what: 'content' },
  ]);
  const other = { wanted: [file('a', { uid: 1 })], hereAt: () => file('a'), extra: [] };
  expect(differencesOf({ ...other, withOwner: false })).toEqual([]);
  expect(differencesOf({ ...other, withOwner: true })).toEqual([{ path: 'a', what: 'metadata' }]);
});
