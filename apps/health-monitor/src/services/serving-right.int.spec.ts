import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { readServingNote } from '@understudy/platform';
import { ServingRight } from './serving-right.ts';

const directory = mkdtempSync(join(tmpdir(), 'understudy-right-'));

beforeAll(() => {
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=64k', 'tmpfs', directory]);
});
afterAll(() => {
  execFileSync('umount', [directory]);
  rmSync(directory, { recursive: true });
});

it('is noted on a full disk too: an old note would close a server that may serve', async () => {
  const file = join(directory, 'serving-right.json');
  const right = new ServingRight(file, 'run', () => null);
  right.note(1000);
  await reads(1000);
  expect(() => writeFileSync(join(directory, 'log'), 'x'.repeat(100_000))).toThrow('ENOSPC');
  right.note(123_456_789.25);
  await reads(123_456_789.25);
  right.note(null);
  await reads(null);

  async function reads(untilMs: number | null): Promise<void> {
    for (const endMs = performance.now() + 5000; performance.now() < endMs; ) {
      if (readServingNote(file, 'run')?.untilMs === untilMs) return;
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    throw new Error(`not noted: ${untilMs}`);
  }
});
