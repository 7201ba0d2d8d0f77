import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { SILENT_LOGGER } from './logger.ts';
import { NodeStore } from './node-store.ts';
import { Secret } from './secret.ts';
import { freePort } from './testing/free-ports.ts';

let directory: string;
let port: number;
let server: ChildProcess;
let store: NodeStore;

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), 'store-'));
  port = await freePort();
  server = startServer();
  store = await NodeStore.open({ host: '127.0.0.1', port, password: new Secret('secret') }, SILENT_LOGGER);
  expect(await store.whenReady(5000)).toBe(true);
});

afterAll(() => {
  store.close();
  server.kill('SIGKILL');
  rmSync(directory, { recursive: true, force: true });
});

describe('the node store', () => {
  it('when killed, fails at once, and is back with what was written', async () => {
    await store.client.set('key', 'value');
    const ended = once(server, 'exit');
    server.kill('SIGKILL');
    await ended;
    await until(() => !store.ready);
    const took: number[] = [];
    for (let attempt = 0; attempt < 3; attempt++) {
      const begun = performance.now();
      await expect(store.client.get('key')).rejects.toThrow();
      took.push(performance.now() - begun);
    }
    expect(Math.min(...took)).toBeLessThan(500);
    expect(await store.whenReady(100)).toBe(false);
    server = startServer();
    expect(await store.whenReady(5000)).toBe(true);
    expect(await store.client.get('key')).toBe('value');
  }, 15_000);

  it('when frozen, fails within its limit', async () => {
    server.kill('SIGSTOP');
    const begun = performance.now();
    await expect(store.client.get('key')).rejects.toThrow();
    expect(performance.now() - begun).toBeLessThan(6000);
    server.kill('SIGCONT');
    await until(async () => (await store.client.get('key').catch(() => null)) === 'value');
  }, 15_000);
});

function startServer(): ChildProcess {
  const options = ['--port', String(port), '--bind', '127.0.0.1', '--requirepass', 'secret', '--dir', directory];
  return spawn('redis-server', [...options, '--appendonly', 'yes', '--appendfsync', 'always', '--save', ''], {
    stdio: 'ignore',
  });
}

async function until(condition: () => boolean | Promise<boolean>, limitMs = 8000): Promise<void> {
  const limit = performance.now() + limitMs;
  while (!(await condition())) {
    if (performance.now() > limit) throw new Error(`not within ${limitMs} ms: ${condition}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
