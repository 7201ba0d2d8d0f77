import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, expect, it, jest } from '@jest/globals';
import pg from 'pg';
import { type DatabaseServer, DatabaseStage, FOLLOW, until } from '../testing/database-stage.ts';

jest.setTimeout(120_000);

/** A commit that waits is not acknowledged within that time. */
const PATIENCE_MS = 1500;

let stage: DatabaseStage;
let a: DatabaseServer;
let b: DatabaseServer;
let next = 10_000;

beforeAll(async () => {
  stage = await DatabaseStage.make();
  ({ a, b } = stage);
  await stage.replicate();
});

afterAll(async () => {
  await stage?.remove();
});

it('confirms that commits wait only when the peer has everything from before', async () => {
  expect((await a.engine.facts()).commitsConfirmedSince).toBeNull();
  await a.engine.setCommitsWait({ sequence: 5, waitSince: 5 });
  await a.reaches({ commitsConfirmedSince: 5 });
  expect(await insert()).toBe('acknowledged');
  await b.reaches({ streaming: true });
});

it('keeps commits waiting without the peer, over the death of PostgreSQL and what an older decision says', async () => {
  await b.perform({ kind: 'stop' });
  const waiting = insert();
  expect(await Promise.race([waiting, delay(PATIENCE_MS, 'waits')])).toBe('waits');
  await a.engine.setCommitsWait({ sequence: 4, waitSince: null });
  process.kill(a.postmasterPid, 'SIGKILL');
  expect(await waiting).toBe('not acknowledged');
  await a.reaches({ usable: true });
  expect(await Promise.race([insert(), delay(PATIENCE_MS, 'waits')])).toBe('waits');
});

it('lets the commits go on that wait as soon as they shall not wait any more', async () => {
  const waiting = insert();
  expect(await Promise.race([waiting, delay(PATIENCE_MS, 'waits')])).toBe('waits');
  await a.engine.setCommitsWait({ sequence: 6, waitSince: null });
  expect(await waiting).toBe('acknowledged');
  expect((await a.engine.facts()).commitsConfirmedSince).toBeNull();
});

it.each(['stop', 'fence'] as const)('acknowledges no commit that waits by a %s', async (kind) => {
  await a.perform({ kind: 'start-active' });
  await b.perform(FOLLOW);
  await a.engine.setCommitsWait({ sequence: 7, waitSince: 7 });
  await a.reaches({ commitsConfirmedSince: 7 });
  await b.perform({ kind: 'stop' });
  const waiting = insert();
  expect(await Promise.race([waiting, delay(PATIENCE_MS, 'waits')])).toBe('waits');
  await a.perform({ kind });
  expect(await waiting).toBe('not acknowledged');
});

/** Writes as a client does, to whom it matters whether its commit is acknowledged. */
async function insert(): Promise<'acknowledged' | 'not acknowledged'> {
  const id = next++;
  const client = new pg.Client({
    host: a.paths.sockets,
    port: a.identity.ports.database,
    user: 'postgres',
    database: 'postgres',
  });
  client.on('error', () => undefined);
  await until(async () => client.connect().then(() => true)).catch(() => undefined);
  try {
    await client.query(`INSERT INTO item VALUES (${id})`);
    return 'acknowledged';
  } catch {
    return 'not acknowledged';
  } finally {
    client.end().catch(() => undefined);
  }
}
