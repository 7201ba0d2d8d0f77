import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, beforeEach, expect, it } from '@jest/globals';
import { APPLICATION_MARK, formatServingNote, SILENT_LOGGER } from '@understudy/platform';
import { ServingGuard } from './serving-guard.ts';

let directory: string;
let application: ChildProcess;
let guard: ServingGuard;
let nowMs: number;

beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), 'guard-'));
  const env = { ...process.env, [APPLICATION_MARK]: `${directory}|app` };
  application = spawn('sleep', ['60'], { env, stdio: 'ignore' });
  nowMs = 1000;
  const clock = { nowMs: () => nowMs, unixMs: () => 0 };
  const server = {
    rightFile: join(directory, 'right'),
    runId: 'run',
    dataDirectory: directory,
    databaseDirectory: directory,
  };
  guard = new ServingGuard(server, clock as never, SILENT_LOGGER);
});

afterEach(() => {
  guard.stop();
  application.kill('SIGKILL');
  rmSync(directory, { recursive: true, force: true });
});

const note = (untilMs: number | null) =>
  writeFileSync(join(directory, 'right'), formatServingNote('run', { untilMs, virtualIp: null }));
const isAlive = () => application.exitCode === null && application.signalCode === null;

it('closes a server whose right has ended, and none that has one', async () => {
  note(2000);
  guard.start();
  await delay(400);
  expect(isAlive()).toBe(true);
  for (; nowMs < 2200; nowMs += 100) await delay(100);
  for (const endMs = performance.now() + 5000; isAlive() && performance.now() < endMs; ) await delay(20);
  expect(isAlive()).toBe(false);
});

it('that stood still reads what was noted meanwhile before it judges', async () => {
  note(2000);
  guard.start();
  await delay(400);
  note(60_000);
  nowMs = 6000;
  for (let look = 0; look < 8; look++, nowMs += 100) await delay(100);
  expect(isAlive()).toBe(true);
});
