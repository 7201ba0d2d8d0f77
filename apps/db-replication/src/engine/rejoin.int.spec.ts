import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { chown, mkdir, stat, symlink, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it, jest } from '@jest/globals';
import { parseLsn } from '@understudy/contracts';
import { argumentsOf, processesIn, processesWithArgument } from '../adapters/process-scan.ts';
import { type DatabaseServer, DatabaseStage, FOLLOW, until } from '../testing/database-stage.ts';
import { examinePeer } from './peer-source.ts';

jest.setTimeout(180_000);

let stage: DatabaseStage;
let a: DatabaseServer;
let b: DatabaseServer;

beforeEach(async () => {
  stage = await DatabaseStage.make();
  ({ a, b } = stage);
  await stage.replicate();
});

afterEach(() => stage.remove());

/** A dies with `lost` rows that B never received, and B is promoted. */
async function diverge(lost: number): Promise<void> {
  await b.perform({ kind: 'stop' });
  if (lost > 0) await a.query(`INSERT INTO item SELECT generate_series(2001, ${2000 + lost})`);
  const pid = a.postmasterPid;
  await a.engine.close({ shutdown: false });
  process.kill(pid, 'SIGKILL');
  await b.perform({ kind: 'start-standby' });
  await b.perform({ kind: 'promote', requiredLsn: null });
  await b.query('INSERT INTO item VALUES (3000)');
  await a.begin('after the crash');
}

/** Empty files after the last one that is written to: which of them all a directory lists first is up to the file system. */
async function makeSegmentsInAdvance({ settings }: DatabaseServer, count: number): Promise<void> {
  const folder = join(settings.dataDirectory, 'pg_wal');
  const last = readdirSync(folder)
    .filter((name) => /^[0-9A-F]{24}$/.test(name))
    .sort()
    .at(-1) as string;
  const { uid, gid } = await stat(join(folder, last));
  for (let more = 1; more <= count; more++) {
    const number = Number.parseInt(last.slice(16), 16) + more;
    const file = join(folder, last.slice(0, 16) + number.toString(16).toUpperCase().padStart(8, '0'));
    await writeFile(file, '', { mode: 0o600, flag: 'wx' });
    await truncate(file, 16 * 1024 * 1024);
    await chown(file, uid, gid);
  }
}

it('names the end of a clean shutdown exactly as the standby has flushed it', async () => {
  await a.query('INSERT INTO item SELECT generate_series(1001, 5000)');
  const { lsn } = await a.perform({ kind: 'stop' });
  const [row] = await b.query('select pg_last_wal_receive_lsn()::text as lsn');
  expect(row?.lsn).toBe(lsn);
});

it('a crashed server whose WAL the peer has to the end follows as it is, without a rewind', async () => {
  // Everything A writes reaches B, then A is killed: nothing of it is lost, so nothing needs to be set aside.
  const { lsn } = await a.engine.facts();
  await until(async () => parseLsn((await b.engine.facts()).lsn ?? '0/0') >= parseLsn(lsn as string));
  const pid = a.postmasterPid;
  await a.engine.close({ shutdown: false });
  await until(async () => {
    const [row] = await a.query(`select pg_current_wal_lsn() = flush_lsn as same from pg_stat_replication`);
    return row?.same === true;
  });
  process.kill(pid, 'SIGKILL');
  await b.perform({ kind: 'promote', requiredLsn: null });
  await b.query('INSERT INTO item VALUES (3000)');
  await a.begin('after the crash');
  expect(await a.perform(FOLLOW)).toMatchObject({ method: 'follow', setAside: null, setAsideBytes: 0 });
  await until(async () => (await a.rows()) === 1001);
});

it('finds what was committed on one server only beside WAL files that PostgreSQL has made in advance', async () => {
  await diverge(300);
  await makeSegmentsInAdvance(a, 60);
  const result = await a.perform(FOLLOW);
  expect(result.method).toBe('rewind');
  const facts = JSON.parse(readFileSync(join(result.setAside as string, 'facts.json'), 'utf8'));
  expect(facts.committedTransactions).toBeGreaterThanOrEqual(1);
  await until(async () => (await a.rows()) === 1001);
});

it('sets aside where there is room for it, however many timelines it went through', async () => {
  await diverge(300);
  const { setAside } = a.settings.paths;
  await mkdir(setAside, { recursive: true });
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=40m', 'small', setAside]);
  try {
    for (let timeline = 100; timeline < 120; timeline++)
      await writeFile(join(a.settings.dataDirectory, 'pg_wal', `00000${timeline}.history`), '');
    expect(await a.perform(FOLLOW)).toMatchObject({ method: 'rewind' });
  } finally {
    execFileSync('umount', ['-l', setAside]);
  }
});

it('sets aside what was committed on one server only, says how much, and keeps it once', async () => {
  await diverge(300);
  const result = await a.perform(FOLLOW);
  expect(result.method).toBe('rewind');
  const folder = result.setAside as string;
  const facts = JSON.parse(readFileSync(join(folder, 'facts.json'), 'utf8'));
  expect(facts.divergedBytes).toBe(result.setAsideBytes);
  // The rows, and a probe or two.
  expect(facts.committedTransactions).toBeGreaterThanOrEqual(1);
  expect(facts.committedTransactions).toBeLessThan(10);
  expect(readFileSync(join(folder, 'pg_controldata.txt'), 'utf8')).not.toContain('nonce');
  expect(readdirSync(a.settings.paths.setAside)).toHaveLength(1);
  await until(async () => (await a.rows()) === 1001);
});

it('copies when the rewind fails', async () => {
  await diverge(300);
  const programs = join(stage.directory, 'bin');
  await withoutProgram(a.settings.binDirectory, programs, 'pg_rewind');
  await a.engine.close({ shutdown: false });
  a.settings = { ...a.settings, binDirectory: programs };
  await a.begin('after the crash');
  const result = await a.perform(FOLLOW);
  expect(result.method).toBe('copy');
  expect(result.setAsideBytes).toBeGreaterThan(0);
  expect(a.incidents.some(({ code }) => code === 'rewind-failed')).toBe(true);
  await until(async () => (await a.rows()) === 1001);
});

it('never starts a half rewound directory, and copies instead', async () => {
  await diverge(300);
  await writeFile(`${a.settings.dataDirectory}.rewinding`, '');
  await expect(a.perform({ kind: 'start-active' })).rejects.toThrow('start-failed');
  expect((await a.perform(FOLLOW)).method).toBe('copy');
  expect(existsSync(`${a.settings.dataDirectory}.rewinding`)).toBe(false);
});

it('a directory that cannot be read is kept as a whole, and replaced', async () => {
  await b.perform({ kind: 'stop' });
  await truncate(join(b.settings.dataDirectory, 'global', 'pg_control'), 100);
  expect((await b.perform(FOLLOW)).method).toBe('copy');
  const told = b.incidents.find(({ code }) => code === 'replaced-database-kept')?.message ?? '';
  const kept = /kept in (\S+),/.exec(told)?.[1] ?? '';
  expect(existsSync(join(kept, 'PG_VERSION'))).toBe(true);
});

it('a copy that was killed with the service is ended and done anew', async () => {
  await a.query('CREATE TABLE big AS SELECT repeat(md5(i::text), 100) AS t FROM generate_series(1, 20000) i');
  await b.engine.close({ shutdown: true });
  b.settings = { ...b.settings, copyRateLimitBytes: 2 * 1024 * 1024 };
  await b.begin();
  b.begun({ kind: 'follow-peer', forceCopy: true, awaySeconds: null });
  const copyPath = `${b.settings.dataDirectory}.copy`;
  await until(
    async () => processesWithArgument('pg_basebackup', copyPath).length > 0 && existsSync(`${copyPath}/base`),
  );
  // The service is replaced by another one of the same run, which does not know of the copy.
  const abandoned = b.engine;
  b.settings = { ...b.settings, copyRateLimitBytes: 0 };
  await b.begin();
  expect(processesWithArgument('pg_basebackup', copyPath)).toHaveLength(0);
  await abandoned.close({ shutdown: false });
  expect(existsSync(join(b.settings.dataDirectory, 'PG_VERSION'))).toBe(true);
  await b.perform({ kind: 'follow-peer', forceCopy: true, awaySeconds: null });
  await until(async () => (await b.rows()) === 1000);
});

it('a replaced task lets go of its copy, and the directory is as before', async () => {
  await a.query('CREATE TABLE big AS SELECT repeat(md5(i::text), 100) AS t FROM generate_series(1, 20000) i');
  await b.engine.close({ shutdown: true });
  b.settings = { ...b.settings, copyRateLimitBytes: 2 * 1024 * 1024 };
  await b.begin();
  const { taskId } = b.begun({ kind: 'follow-peer', forceCopy: true, awaySeconds: null });
  await until(async () => existsSync(`${b.settings.dataDirectory}.copy/base`));
  await b.perform({ kind: 'start-standby' }, taskId);
  await b.reaches({ role: 'standby', streaming: true });
  expect(existsSync(`${b.settings.dataDirectory}.copy`)).toBe(false);
  expect(processesWithArgument('pg_basebackup', `${b.settings.dataDirectory}.copy`)).toHaveLength(0);
});

it('a rewind that is replaced is finished first, so that no copy is needed', async () => {
  await diverge(300);
  const { taskId } = a.begun(FOLLOW);
  await until(async () => existsSync(`${a.settings.dataDirectory}.rewinding`));
  await a.perform({ kind: 'stop' }, taskId);
  await expect(a.ended(taskId)).resolves.toMatchObject({ state: 'failed', code: 'superseded' });
  expect(existsSync(`${a.settings.dataDirectory}.rewinding`)).toBe(false);
  expect((await a.perform(FOLLOW)).method).toBe('follow');
  await until(async () => (await a.rows()) === 1001);
});

it('a promotion that is replaced is on its way no more', async () => {
  const replaying = processesIn(b.settings.dataDirectory).filter((pid) => argumentsOf(pid)[0]?.includes('startup'));
  for (const pid of replaying) process.kill(pid, 'SIGSTOP');
  const { taskId } = b.begun({ kind: 'promote', requiredLsn: null });
  // PostgreSQL was told, and who replays has not taken notice
  await until(async () => existsSync(join(b.settings.dataDirectory, 'promote')));
  const replaced = b.perform({ kind: 'prepare-source' }, taskId).catch(() => undefined);
  await until(async () => b.engine.desk.isBusy);
  for (const pid of replaying) process.kill(pid, 'SIGCONT');
  await replaced;
  expect(await b.engine.facts()).toMatchObject({ running: false, role: 'stopped' });
});

it('asks for its slot while the peer makes it as well', async () => {
  const server = {
    peer: a.identity,
    certificatePem: b.identity.certificatePem,
    privateKeyPem: readFileSync(b.settings.paths.privateKey, 'utf8'),
  };
  await b.perform({ kind: 'stop' });
  for (let round = 0; round < 10; round++) {
    await until(() =>
      a.query(`select pg_drop_replication_slot('understudy_peer')`).then(
        () => true,
        () => false,
      ),
    );
    const both = await Promise.all([examinePeer(server), examinePeer(server), examinePeer(server)]);
    expect(both.map(({ slotLost }) => slotLost)).toEqual([false, false, false]);
  }
});

it('copies at once when the peer has given up the WAL that is needed', async () => {
  await b.perform({ kind: 'stop' });
  await a.query(`select pg_drop_replication_slot('understudy_peer')`);
  await a.engine.close({ shutdown: true });
  a.settings = { ...a.settings, walKeepLimitBytes: 0 };
  await a.begin();
  await a.perform({ kind: 'start-active' });
  for (let segment = 0; segment < 12; segment++) {
    await a.query(`INSERT INTO item VALUES (${5000 + segment})`);
    await a.query('select pg_switch_wal()');
  }
  await a.query('checkpoint');
  await a.query('checkpoint');
  const startedAtMs = performance.now();
  expect((await b.perform(FOLLOW)).method).toBe('copy');
  expect(performance.now() - startedAtMs).toBeLessThan(15_000);
});

it('a copy that fails because the peer dies leaves the old database as it was, and says so', async () => {
  await b.engine.close({ shutdown: true });
  b.settings = { ...b.settings, copyRateLimitBytes: 1024 * 1024 };
  await b.begin('second');
  await b.perform({ kind: 'start-standby' });
  await b.reaches({ streaming: true });
  const copying = b.perform({ kind: 'follow-peer', forceCopy: true, awaySeconds: null }).catch((error: Error) => error);
  await until(async () => existsSync(`${b.settings.dataDirectory}.copy`));
  await a.engine.close({ shutdown: true });
  expect(String(await copying)).toContain('copy-not-made');
  await b.perform({ kind: 'start-standby' });
  await b.perform({ kind: 'promote', requiredLsn: null });
  expect(await b.rows()).toBe(1000);
});

/** A directory of links to all programs but one. */
async function withoutProgram(from: string, to: string, missing: string): Promise<void> {
  await mkdir(to);
  for (const name of readdirSync(from)) if (name !== missing) await symlink(join(from, name), join(to, name));
}
