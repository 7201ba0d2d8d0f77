import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, it } from '@jest/globals';
import { ServingRight } from './serving-right.ts';

const directory = mkdtempSync(join(tmpdir(), 'understudy-right-'));
const file = join(directory, 'serving-right.json');

afterAll(() => rmSync(directory, { recursive: true, force: true }));

/** What the file says; undefined while it is being written. */
function noted(): { runId: string; untilMs: number | null } | undefined {
  try {
    return JSON.parse(readFileSync(file, 'utf8'));
  } catch {
    return undefined;
  }
}

async function reads(untilMs: number | null): Promise<void> {
  for (const endMs = performance.now() + 5000; performance.now() < endMs && noted()?.untilMs !== untilMs; )
    await new Promise((resolve) => setTimeout(resolve, 5));
  expect(noted()).toEqual({ runId: 'run', untilMs, virtualIp: null });
}

it('the last word is what stays, however quickly one follows the other, and the next manager of the run finds it', async () => {
  const right = new ServingRight(file, 'run', () => null);
  for (const untilMs of [1, 2, 3, null, 4, null]) right.note(untilMs);
  await reads(null);
  right.note(7000);
  await reads(7000);
  expect(new ServingRight(file, 'run', () => null).untilMs).toBe(7000);
  expect(new ServingRight(file, 'another', () => null).untilMs).toBe(0);
});

it('what a manager of an earlier release has noted counts', () => {
  writeFileSync(file, JSON.stringify({ runId: 'run', untilMs: 8000 }));
  expect(new ServingRight(file, 'run', () => null).untilMs).toBe(8000);
});
