import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, it } from '@jest/globals';
import { ServingRight } from './serving-right.ts';

const directory = mkdtempSync(join(tmpdir(), 'understudy-right-'));
const file = join(directory, 'serving-right.json');

/** What the file says; undefined while it is being written. */
function noted(): { runId: string; untilMs: number | null } | undefined {
  try {
    return JSON.parse(readFileSync(file, 'utf8'));
  } catch {
    return undefined;
  }
}

async function reads(untilMs: number | null): Promise<void> {
  await reads(null);
  right.note(7000);
  await reads(7000);
  expect(new ServingRight(file, 'run').untilMs).toBe(7000);
  expect(new ServingRight(file, 'another').untilMs).toBe(0);
});
