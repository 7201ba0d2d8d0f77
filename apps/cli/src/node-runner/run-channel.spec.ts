import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from '@jest/globals';
import { joinRun, RunChannel } from './run-channel.ts';

let directory: string;
let path: string;
const never = new AbortController().signal;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'run-'));
  path = join(directory, 'run.sock');
});

afterEach(() => rmSync(directory, { recursive: true }));

it('a part that is there before its server waits for it', async () => {
  const waits = Promise.withResolvers<void>();
  const joining = joinRun(path, never, waits.resolve);
  await waits.promise;
  const channel = await RunChannel.open(path, 'first');
  expect((await joining)?.runId).toBe('first');
  channel.close();
});

it('when the run is over each part learns of it, and joins the next one', async () => {
  const first = await RunChannel.open(path, 'first');
  const parts = await Promise.all([joinRun(path, never, () => undefined), joinRun(path, never, () => undefined)]);
  first.close();
  await Promise.all(parts.map((part) => part?.ended));
  const second = await RunChannel.open(path, 'second');
  const again = await joinRun(path, never, () => undefined);
  expect(again?.runId).toBe('second');
  again?.leave();
  second.close();
});

it('what a killed server has left at the path is no run', async () => {
  writeFileSync(path, '');
  const told = new AbortController();
  expect(await joinRun(path, told.signal, () => told.abort())).toBeNull();
  const channel = await RunChannel.open(path, 'next');
  expect(statSync(path).isSocket()).toBe(true);
  channel.close();
});
