import { writeFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, expect, it, jest } from '@jest/globals';
import { formatServingNote, SystemClock, servingNoteFile } from '@understudy/platform';
import { type DatabaseServer, DatabaseStage } from '../testing/database-stage.ts';

jest.setTimeout(120_000);

const LATER_MS = 700;

let stage: DatabaseStage;
let a: DatabaseServer;
let b: DatabaseServer;

beforeAll(async () => {
  stage = await DatabaseStage.make();
  ({ a, b } = stage);
  await stage.replicate();
});

afterAll(async () => {
  await stage?.remove();
});

/** As the health monitor does it: until when, from now. */
function note({ paths, settings }: DatabaseServer, untilMs: number | null, runId = settings.runId): void {
  const until = untilMs === null ? null : new SystemClock().nowMs() + untilMs;
  writeFileSync(servingNoteFile(paths.run), formatServingNote(runId, { untilMs: until, virtualIp: null }));
}

it('an active PostgreSQL that has died is not started again before the health monitor has a right to serve', async () => {
  note(a, -1);
  process.kill(a.postmasterPid, 'SIGKILL');
  await a.reaches({ running: false });
  await delay(LATER_MS);
  expect(await a.engine.facts()).toMatchObject({ running: false });
  note(a, 60_000);
  await a.reaches({ usable: true, role: 'read-write' });
});

it('a start that was asked for in time and comes late waits likewise, and gives way to what is asked for instead', async () => {
  await a.perform({ kind: 'stop' });
  note(a, -1);
  const { taskId } = a.begun({ kind: 'start-active' });
  await delay(LATER_MS);
  expect(await a.ended(taskId)).toMatchObject({ state: 'running', step: 'waiting for the right to serve' });
  expect(await a.engine.facts()).toMatchObject({ running: false });
  await a.perform({ kind: 'fence' }, taskId);
  expect(await a.engine.facts()).toMatchObject({ running: false });
});

it('a standby is not promoted before, and follows meanwhile', async () => {
  note(b, -1);
  const { taskId } = b.begun({ kind: 'promote', requiredLsn: null });
  await delay(LATER_MS);
  expect(await b.ended(taskId)).toMatchObject({ state: 'running', step: 'waiting for the right to serve' });
  expect(await b.engine.facts()).toMatchObject({ running: true, role: 'standby' });
  note(b, 60_000);
  await b.reaches({ usable: true, role: 'read-write' });
});

it('what another run of the server has noted counts for nothing, nor does a note that sets no end', async () => {
  await b.perform({ kind: 'stop' });
  note(b, -1, 'another');
  await b.perform({ kind: 'start-active' });
  await b.perform({ kind: 'stop' });
  note(b, null);
  await b.perform({ kind: 'start-active' });
});
