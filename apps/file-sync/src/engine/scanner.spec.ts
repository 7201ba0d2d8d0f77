import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { FILE_CALLS, type FileCalls } from '../ports/file-calls.ts';
import { TwoTrees } from '../testing/trees.ts';
import { FileSet } from './file-set.ts';
import { reasonOf } from './scanner.ts';

let trees: TwoTrees;
let set: FileSet;
/** The end of a path that the system does not tell of now. */
let untold: string | null;
/** The end of a path over which another file system is mounted. */
let mounted: string | null;

beforeEach(() => {
  trees = new TwoTrees();
  untold = null;
  mounted = null;
  const lstatSync = ((path: unknown, options: never) => {
    if (untold !== null && String(path).endsWith(untold)) throw Object.assign(new Error('EMFILE'), { code: 'EMFILE' });
    const stats = FILE_CALLS.lstatSync(path as string, options);
    if (mounted !== null && String(path).endsWith(mounted)) stats.dev += 1;
    return stats;
  }) as FileCalls['lstatSync'];
  const configuration = { name: 'set', path: trees.active, class: 'batch', include: ['**'], exclude: [] } as const;
  set = new FileSet(
    { ...configuration, include: ['**'], exclude: [] },
    { ...FILE_CALLS, lstatSync },
    async () => undefined,
  );
});

afterEach(() => {
  set.close();
  trees.remove();
});

const paths = () => [...set.inventory.entries.keys()].sort();

describe('a path that the system does not tell of', () => {
  beforeEach(async () => {
    mkdirSync(join(trees.active, 'd/e'), { recursive: true });
    for (const name of ['a', 'd/b', 'd/e/c']) writeFileSync(join(trees.active, name), 'one');
    await set.scanAll();
    untold = '/d';
    // no look is spared
    set.follow(null);
  });

  it('has not gone, and neither has what is below it', async () => {
    for (const look of [() => set.scanAll(), () => set.scan(['d', 'd/b'])]) {
      const { problems } = await look();
      expect(problems.map(({ path }) => path)).toEqual(['d']);
      expect(paths()).toEqual(['a', 'd', 'd/b', 'd/e', 'd/e/c']);
    }
  });

  it('does not hide what has changed beside it', async () => {
    const { generation } = set.inventory;
    writeFileSync(join(trees.active, 'a'), 'another');
    await set.scan(['a', 'd']).catch(() => undefined);
    untold = null;
    await set.scanAll();
    expect([...set.inventory.since(generation).entries].map(({ path }) => path)).toEqual(['a']);
  });
});

it('what another file system hides that is mounted over it has not gone, and what that holds is left out', async () => {
  mkdirSync(join(trees.active, 'd'));
  mkdirSync(join(trees.active, 'new'));
  writeFileSync(join(trees.active, 'd/b'), 'one');
  await set.scanAll();
  rmSync(join(trees.active, 'd/b'));
  writeFileSync(join(trees.active, 'd/of another disk'), '');
  mounted = '/d';
  set.follow(null);
  for (const look of [() => set.scanAll(), () => set.scan(['d'])]) {
    const { problems } = await look();
    expect(problems).toMatchObject([{ path: 'd', message: expect.stringContaining('is mounted here') }]);
    expect(paths()).toEqual(['d', 'd/b', 'new']);
  }
  mounted = null;
  await set.scanAll();
  expect(paths()).toEqual(['d', 'd/of another disk', 'new']);
});

it.each([
  [
    "EBUSY: resource busy or locked, rename '/proc/self/fd/23/1.new' -> '/proc/self/fd/22/a'",
    /^EBUSY: resource busy or locked$/,
  ],
  ["EBUSY: resource busy or locked, open '/proc/self/fd/23/with\na line break'", /^EBUSY: resource busy or locked$/],
  ["EIO: i/o error, open '/srv/files'", /^EIO: i\/o error, open '\/srv\/files'$/],
])('a reason is the same in every run: %j', (message, shown) => {
  expect(reasonOf(Object.assign(new Error(message), { code: message.split(':')[0] }))).toMatch(shown);
});
