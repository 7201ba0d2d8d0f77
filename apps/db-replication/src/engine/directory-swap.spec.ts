import { existsSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from '@jest/globals';
import { DirectorySwap } from './directory-swap.ts';

let root: string;
let data: string;
let swap: DirectorySwap;

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'swap-'));
  data = join(root, 'data');
  swap = new DirectorySwap(data);
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

function make(path: string, file: string): void {
  mkdirSync(path);
  writeFileSync(join(path, file), '');
}

it('puts a copy where nothing was, and takes it away again', async () => {
  make(swap.copyPath, 'new');
  await swap.putInPlace('nothing');
  expect(swap.replaced).toBe('nothing');
  await swap.discard();
  expect(readdirSync(root)).toEqual([]);
});

it('keeps a database of its own, gives it back, and never deletes it', async () => {
  make(data, 'own');
  make(swap.copyPath, 'new');
  await swap.putInPlace('foreign');
  const kept = (await swap.settle()) ?? '';
  expect(existsSync(join(kept, 'own'))).toBe(true);
  await swap.adopt();
  expect(await swap.settle()).toBeNull();
  make(swap.copyPath, 'newer');
  await swap.putInPlace('same');
  await swap.settle();
  expect(existsSync(join(kept, 'own'))).toBe(true);

  rmSync(data, { recursive: true });
  make(data, 'other');
  make(swap.copyPath, 'copy');
  await swap.putInPlace('foreign');
  await swap.discard();
  expect(readdirSync(data)).toEqual(['other']);
});

it('gives a database of its own back when the swap was interrupted between its two steps', async () => {
  make(data, 'own');
  make(swap.copyPath, 'new');
  await swap.putInPlace('foreign');
  const kept = (await swap.settle()) ?? '';
  renameSync(data, swap.copyPath);
  await new DirectorySwap(data).recover();
  expect(readdirSync(root)).toEqual(['data']);
  expect(readdirSync(data)).toEqual(['own']);
  expect(existsSync(kept)).toBe(false);
});

it('knows what deleting the old directory would free', async () => {
  expect(await swap.sizeOfOld()).toBe(0);
  mkdirSync(join(data, 'base'), { recursive: true });
  writeFileSync(join(data, 'base', 'file'), Buffer.alloc(1_000_000));
  expect(await swap.sizeOfOld()).toBeGreaterThanOrEqual(1_000_000);
});

it('does not take away what is no copy, what was worked with, or the only state there is', async () => {
  make(data, 'own');
  await swap.discard();
  make(swap.copyPath, 'new');
  await swap.putInPlace('same');
  await swap.settle();
  await swap.discard();
  expect(existsSync(join(data, 'new'))).toBe(true);
  await swap.adopt();
  expect(swap.replaced).toBeNull();
});

it('undoes a swap that was interrupted between its two steps', async () => {
  make(swap.beforePath, 'own');
  make(swap.copyPath, 'new');
  await swap.recover();
  expect(readdirSync(data)).toEqual(['own']);
  expect(readdirSync(root)).toEqual(['data']);
});
