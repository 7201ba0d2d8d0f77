import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, statSync, truncateSync } from 'node:fs';
import { connect } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, expect, it, jest } from '@jest/globals';
import { processStartTime } from '@understudy/platform';
import { type DatabaseServer, DatabaseStage, until } from '../testing/database-stage.ts';
import { PROBE_SCHEMA } from './facts-observer.ts';

jest.setTimeout(120_000);

let stage: DatabaseStage;
let a: DatabaseServer;
let b: DatabaseServer;

beforeAll(async () => {
  stage = await DatabaseStage.make();
  ({ a, b } = stage);
  await stage.replicate();
});

afterAll(() => stage.remove());

it('a standby follows the active server to a higher max_connections', async () => {
  await a.engine.close({ shutdown: true });
  a.settings = { ...a.settings, parameters: { ...a.settings.parameters, max_connections: '70' } };
  await a.begin();
  await a.perform({ kind: 'start-active' });
  await a.query('INSERT INTO item SELECT generate_series(1001, 1100)');
  await until(async () => (await b.rows().catch(() => 0)) === 1100);
  await until(async () => (await b.query('show max_connections').catch(() => []))[0]?.max_connections === '70');
  expect(b.incidents.filter(({ code }) => code === 'capacity-raised')).toHaveLength(1);
  expect(b.incidents.some(({ code }) => code === 'postgresql-ended')).toBe(false);
});

it('ALTER SYSTEM does not change what the safety of the pair rests on', async () => {
  await a.query("alter system set full_page_writes = off; alter system set work_mem = '8MB'").catch(() => undefined);
  await a.query('alter system set full_page_writes = off');
  await a.query("alter system set work_mem = '8MB'");
  await a.query('select pg_reload_conf()');
  // A service that was restarted looks at once.
  await a.engine.close({ shutdown: false });
  await a.begin();
  await until(async () => (await a.query('show full_page_writes'))[0]?.full_page_writes === 'on');
  await until(async () => (await a.query('show work_mem'))[0]?.work_mem === '8MB');
  expect(a.incidents.filter(({ code }) => code === 'configuration-clash')).toHaveLength(1);
});

it('listens on an address that came after PostgreSQL was started', async () => {
  const address = '10.254.77.77';
  await a.engine.close({ shutdown: true });
  const before = a.settings;
  a.settings = { ...before, address };
  await a.begin();
  await a.perform({ kind: 'start-active' });
  const startTime = processStartTime(a.postmasterPid);
  execFileSync('ip', ['address', 'add', `${address}/32`, 'dev', 'lo']);
  try {
    await until(async () => a.incidents.some(({ code }) => code === 'address-not-served'));
    await a.reaches({ usable: true });
    expect(processStartTime(a.postmasterPid)).not.toBe(startTime);
    const [row] = await a.query('show listen_addresses');
    expect(row?.listen_addresses).toContain(address);
    await answers(address, before.port);
  } finally {
    a.settings = before;
    execFileSync('ip', ['address', 'del', `${address}/32`, 'dev', 'lo']);
  }
});

it('a service that ends waits for its look at PostgreSQL, and asks nothing afterwards', async () => {
  const { postmasterPid } = b;
  let isClosed = false;
  const closed = () => {
    isClosed = true;
  };
  const stoppedAtMs = performance.now();
  process.kill(postmasterPid, 'SIGSTOP');
  try {
    await delay(1200); // a look has begun
    const closing = b.engine.close({ shutdown: false }).then(closed);
    await delay(300);
    // after 2 s it ends by itself
    if (performance.now() - stoppedAtMs < 1900) expect(isClosed).toBe(false);
    process.kill(postmasterPid, 'SIGCONT');
    await closing;
  } finally {
    process.kill(postmasterPid, 'SIGCONT');
  }
  await b.begin();
  await b.reaches({ usable: true });
});

it('the place of the write probe can be made by several at once', async () => {
  await a.query('drop schema understudy cascade');
  await Promise.all(Array.from({ length: 8 }, () => a.query(PROBE_SCHEMA)));
  await a.reaches({ usable: true });
});

it("cuts PostgreSQL's log where it lies", async () => {
  const log = `${a.settings.paths.logs}/postgresql.log`;
  truncateSync(log, 33 * 1024 * 1024);
  await a.engine.close({ shutdown: false });
  await a.begin();
  await until(async () => statSync(log).size < 1024 * 1024);
  expect(statSync(`${log}.1`).size).toBeGreaterThan(32 * 1024 * 1024);
  await a.query("do $$ begin raise log 'written on'; end $$");
  await until(async () => readFileSync(log, 'utf8').includes('written on'));
});

/** Resolves when a connection is taken. */
async function answers(host: string, port: number): Promise<void> {
  const socket = connect({ host, port });
  await once(socket, 'connect');
  socket.destroy();
}
