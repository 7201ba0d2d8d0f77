import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, expect, it, jest } from '@jest/globals';
import { parseLsn } from '@understudy/contracts';
import { processStartTime } from '@understudy/platform';
import { type DatabaseServer, DatabaseStage, FOLLOW, until } from '../testing/database-stage.ts';

jest.setTimeout(120_000);

let stage: DatabaseStage;
let a: DatabaseServer;
let b: DatabaseServer;
const timings: string[] = [];

beforeAll(async () => {
  stage = await DatabaseStage.make();
  ({ a, b } = stage);
});

afterAll(async () => {
  await stage?.remove();
  process.stdout.write(`${timings.join('\n')}\n`);
});

it('starts an empty active database and keeps it running', async () => {
  expect((await a.engine.facts()).role).toBe('none');
  await timed('start-active with initdb', () => a.perform({ kind: 'start-active' }));
  const facts = await a.engine.facts();
  expect(facts).toMatchObject({
    running: true,
    usable: true,
    role: 'read-write',
    timeline: 1,
    foreignPostmaster: false,
  });
  await a.query('CREATE TABLE item (id int PRIMARY KEY)');
  await a.query('INSERT INTO item SELECT generate_series(1, 1000)');
  await expect(a.perform({ kind: 'start-standby' })).rejects.toThrow('not-standby');
  await expect(b.perform({ kind: 'start-standby' })).rejects.toThrow('no-data');
  await expect(b.perform(FOLLOW)).rejects.toThrow('not-paired');
});

it('notices within 100 ms that PostgreSQL was killed, and restarts it in place', async () => {
  const startedAtMs = performance.now();
  process.kill(a.postmasterPid, 'SIGKILL');
  await until(async () => (await a.rows().catch(() => 0)) === 1000);
  note('kill -9 of the postmaster until it answers', startedAtMs);
  expect(a.incidents.some(({ code }) => code === 'postgresql-ended')).toBe(true);
});

it('becomes a standby by a full copy', async () => {
  await a.engine.setPeer(b.identity);
  await b.engine.setPeer(a.identity);
  await expect(b.perform(FOLLOW)).rejects.toThrow('peer-unreachable');
  await expect(b.perform({ kind: 'start-active' })).rejects.toThrow('no-data');
  await a.perform({ kind: 'prepare-source' });
  await a.perform({ kind: 'prepare-source' });
  const { method } = await timed('follow-peer by copy', () => b.perform(FOLLOW));
  expect(method).toBe('copy');
  expect((await b.perform(FOLLOW)).method).toBe('none');
  await until(async () => (await a.engine.facts()).streaming && (await b.engine.facts()).streaming);
  expect(await b.engine.facts()).toMatchObject({ role: 'standby', timeline: 1, usable: true });
  await expect(b.perform({ kind: 'start-active' })).rejects.toThrow('is-standby');
});

it('swaps roles without loss, and back', async () => {
  for (const [from, to] of [
    [a, b],
    [b, a],
  ] as const) {
    const rows = await from.rows();
    await from.query(`INSERT INTO item SELECT generate_series(${rows + 1}, ${rows + 500})`);
    const startedAtMs = performance.now();
    const { lsn } = await timed('stop', () => from.perform({ kind: 'stop' }));
    expect(lsn).not.toBeNull();
    expect((await from.perform({ kind: 'stop' })).lsn).toBe(lsn);
    await until(async () => parseLsn((await to.engine.facts()).lsn ?? '0/0') >= parseLsn(lsn as string));
    const promoted = await timed('promote', () => to.perform({ kind: 'promote', requiredLsn: lsn }));
    note('stop + promote', startedAtMs);
    expect(await to.rows()).toBe(rows + 500);
    expect((await to.perform({ kind: 'promote', requiredLsn: lsn })).timeline).toBe(promoted.timeline);
    const followed = await timed('follow-peer as the clean former active', () => from.perform(FOLLOW));
    expect(followed).toMatchObject({ method: 'follow', setAside: null });
    note('swap', startedAtMs);
    expect((await to.engine.facts()).slotStatus).toBe('reserved');
  }
});

it('refuses to promote without the last record', async () => {
  await expect(b.perform({ kind: 'promote', requiredLsn: 'FF/0' })).rejects.toThrow('data-missing');
  expect((await b.engine.facts()).role).toBe('standby');
});

it('sets diverged data aside and rewinds', async () => {
  const rows = await a.rows();
  // The peer is cut off, and both write.
  await b.perform({ kind: 'stop' });
  await a.query(`INSERT INTO item SELECT generate_series(${rows + 1}, ${rows + 300})`);
  process.kill(a.postmasterPid, 'SIGKILL');
  await a.perform({ kind: 'stop' });
  await b.perform({ kind: 'start-standby' });
  await b.perform({ kind: 'promote', requiredLsn: null });
  await b.query(`INSERT INTO item SELECT generate_series(${rows + 1}, ${rows + 7})`);
  const result = await timed('follow-peer by rewind', () => a.perform(FOLLOW));
  expect(result.method).toBe('rewind');
  expect(result.setAsideBytes).toBeGreaterThan(0);
  const kept = readdirSync(result.setAside as string);
  expect(kept).toContain('facts.json');
  expect(kept.some((name) => /^[0-9A-F]{24}$/.test(name))).toBe(true);
  expect(a.incidents.some(({ code }) => code === 'diverged-data-set-aside')).toBe(true);
  await until(async () => (await a.rows()) === rows + 7);
});

it('leaves PostgreSQL running when the service is replaced, and takes it up again', async () => {
  const pid = a.postmasterPid;
  const startTime = processStartTime(pid);
  await a.engine.close({ shutdown: false });
  await a.begin();
  await a.engine.setPeer(b.identity);
  expect(processStartTime(pid)).toBe(startTime);
  process.kill(pid, 'SIGKILL');
  await until(async () => (await a.engine.facts()).streaming);
  expect(a.postmasterPid).not.toBe(pid);
});

it('starts nothing by itself in a new run of the server', async () => {
  await a.engine.close({ shutdown: true });
  expect(existsSync(join(a.settings.dataDirectory, 'postmaster.pid'))).toBe(false);
  await a.begin('second');
  await a.engine.setPeer(b.identity);
  await delay(500);
  expect(await a.engine.facts()).toMatchObject({ running: false, role: 'stopped' });
  await timed('start-standby', () => a.perform({ kind: 'start-standby' }));
  await until(async () => (await a.engine.facts()).streaming);
});

it('never deletes a database that is no copy', async () => {
  await b.perform({ kind: 'discard-copy' });
  expect(existsSync(join(b.settings.dataDirectory, 'PG_VERSION'))).toBe(true);
});

it('copies anew when asked to, and undoes it', async () => {
  await b.perform({ kind: 'start-active' });
  const result = await timed('follow-peer with forceCopy', () =>
    a.perform({ kind: 'follow-peer', forceCopy: true, awaySeconds: null }),
  );
  expect(result.method).toBe('copy');
  await b.perform({ kind: 'retire-source' });
  await until(async () => !(await b.engine.facts()).streaming);
  expect((await b.engine.facts()).slotStatus).toBeNull();
  await a.perform({ kind: 'discard-copy' });
  expect((await a.engine.facts()).running).toBe(false);
});

async function timed<T>(what: string, work: () => Promise<T>): Promise<T> {
  const startedAtMs = performance.now();
  const result = await work();
  note(what, startedAtMs);
  return result;
}

function note(what: string, startedAtMs: number): void {
  timings.push(`${what}: ${Math.round(performance.now() - startedAtMs)} ms`);
}
