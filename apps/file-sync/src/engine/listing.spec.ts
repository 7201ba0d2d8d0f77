import { execFile } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, renameSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { TwoTrees } from '../testing/trees.ts';
import { listingDigest } from './listing.ts';

let root: string;

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'understudy-listing-'));
  mkdirSync(join(root, 'd/e'), { recursive: true });
  mkdirSync(join(root, 'od*[d]\\'));
  writeFileSync(join(root, 'd/a'), 'one');
  writeFileSync(join(root, 'd/e/b'), 'two');
});

afterEach(() => rmSync(root, { recursive: true, force: true }));

/** Puts other bytes of the same number into a file, and its time back to what it was. */
function changeQuietly(file: string): void {
  const { atime, mtime } = statSync(file);
  writeFileSync(file, 'eno');
  utimesSync(file, atime, mtime);
}

describe('the digest of a listing', () => {
  it('is the same as long as nothing changes, and another after every kind of change', async () => {
    const changes: (() => void)[] = [
      () => changeQuietly(join(root, 'd/a')),
      () => chmodSync(join(root, 'd/e'), 0o700),
      () => writeFileSync(join(root, 'd/e/new'), ''),
      () => renameSync(join(root, 'd/e/new'), join(root, 'd/new')),
      () => renameSync(join(root, 'd/e'), join(root, 'd/f')),
      () => rmSync(join(root, 'd/new')),
    ];
    let before = await listingDigest(root, []);
    expect(before).toMatch(/^[\w-]{43}$/);
    for (const change of changes) {
      expect(await listingDigest(root, [])).toBe(before);
      // the clock of the file system has ticks
      await delay(20);
      change();
      const after = await listingDigest(root, []);
      expect(after).not.toBe(before);
      before = after;
    }
  });

  it('passes over what it is told to, by name and not by pattern, and what belongs to us', async () => {
    const pruned = ['od*[d]\\'];
    const before = await listingDigest(root, pruned);
    writeFileSync(join(root, 'od*[d]\\', 'x'), '');
    mkdirSync(join(root, '.understudy'));
    writeFileSync(join(root, '.understudy', 'x'), '');
    const after = await listingDigest(root, pruned);
    // the directory above has another time, the names in the two have none
    expect(after === before).toBe(true);
    mkdirSync(join(root, 'odd'));
    expect(await listingDigest(root, pruned)).not.toBe(before);
  });

  it('is none, and ends nothing, in a process that has no file descriptor left', async () => {
    const program = `
      import { openSync } from 'node:fs';
      import { listingDigest } from ${JSON.stringify(new URL('./listing.ts', import.meta.url))};
      await listingDigest('.', []);
      try { for (;;) openSync('/dev/null'); } catch {}
      console.log(await listingDigest('.', []));`;
    const words = ['--no-warnings', '--input-type=module', '-e', program];
    const { stdout } = await promisify(execFile)('bash', [
      '-c',
      'ulimit -n 64; exec "$@"',
      '',
      process.execPath,
      ...words,
    ]);
    expect(stdout).toBe('null\n');
  });

  it('is none where there is no directory', async () => {
    expect(await listingDigest(join(root, 'd/a'), [])).toBeNull();
    expect(await listingDigest(join(root, 'missing'), [])).toBeNull();
  });
});

describe('a look at everything', () => {
  it('finds a change again after it was spared, and what a look at one path has taken out comes back', async () => {
    const trees = new TwoTrees();
    try {
      writeFileSync(join(trees.active, 'a'), 'one');
      mkdirSync(join(trees.active, 'd'));
      writeFileSync(join(trees.active, 'd/b'), 'one');
      await delay(60);
      for (let count = 0; count < 3; count++) await trees.source.scanAll();
      renameSync(join(trees.active, 'd'), join(trees.directory, 'd'));
      await trees.source.scan(['d']);
      expect([...trees.source.inventory.entries.keys()]).toEqual(['a']);
      renameSync(join(trees.directory, 'd'), join(trees.active, 'd'));
      await trees.source.scanAll();
      expect([...trees.source.inventory.entries.keys()].sort()).toEqual(['a', 'd', 'd/b']);
      changeQuietly(join(trees.active, 'd/b'));
      const { generation } = trees.source.inventory;
      expect((await trees.source.scanAll()).changed).toBe(1);
      expect(trees.source.inventory.generation).toBe(generation + 1);
      await delay(60);
      expect([(await trees.source.scanAll()).changed, (await trees.source.scanAll()).changed]).toEqual([0, 0]);
    } finally {
      trees.remove();
    }
  });
});
