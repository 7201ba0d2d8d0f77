import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, beforeEach, expect, it } from '@jest/globals';
import { freePort } from '@understudy/platform';
import { NatsLeaseStore } from './nats-lease-store.adapter.ts';

let directory: string;
let port: number;
let witness: ChildProcess;
let store: NatsLeaseStore;

beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), 'witness-'));
  port = await freePort();
  startWitness();
  store = new NatsLeaseStore({ servers: [`nats://127.0.0.1:${port}`] }, 4000);
});

afterEach(async () => {
  await store.close();
  await stopWitness();
  rmSync(directory, { recursive: true, force: true });
});

it('gives the lease to whoever names its last revision, and to nobody else', async () => {
  expect(await answered(() => store.read('pair'))).toBeNull();
  const first = await store.replace('pair', { role: 'primary', epoch: 1 }, 0);
  expect(first).toMatchObject({ role: 'primary', epoch: 1 });
  expect(await store.replace('pair', { role: 'secondary', epoch: 2 }, 0)).toBeNull();
  const second = await store.replace('pair', { role: 'secondary', epoch: 2 }, first?.revision ?? 0);
  expect(await store.replace('pair', { role: 'primary', epoch: 3 }, first?.revision ?? 0)).toBeNull();
  expect(await store.read('pair')).toEqual(second);
});

it('goes on with a witness that comes back with its storage, and with one that has lost it', async () => {
  const lease = await answered(() => store.replace('pair', { role: 'primary', epoch: 1 }, 0));
  await stopWitness();
  await expect(store.read('pair')).rejects.toThrow();
  startWitness();
  expect(await answered(() => store.read('pair'))).toEqual(lease);
  await stopWitness();
  rmSync(directory, { recursive: true, force: true });
  startWitness();
  expect(await answered(() => store.read('pair'))).toBeNull();
  expect(await store.replace('pair', { role: 'secondary', epoch: 2 }, 0)).toMatchObject({
    role: 'secondary',
    epoch: 2,
  });
});

function startWitness(): void {
  witness = spawn('nats-server', ['-js', '-sd', directory, '-a', '127.0.0.1', '-p', String(port)], { stdio: 'ignore' });
}

async function stopWitness(): Promise<void> {
  const ended = once(witness, 'exit');
  witness.kill('SIGKILL');
  await ended;
}

/** The first answer, within some seconds. */
async function answered<T>(ask: () => Promise<T>): Promise<T> {
  for (let attempt = 0; ; attempt++) {
    try {
      return await ask();
    } catch (error) {
      if (attempt > 40) throw error;
      await delay(200);
    }
  }
}
