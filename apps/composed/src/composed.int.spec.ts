import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { DatabaseFactsQuery, healthQueryOf, SERVICE_NAMES } from '@understudy/contracts';
import { Bus } from '@understudy/messaging';
import { isAlive, NodePaths, processStartTime, readBusCredentials, SILENT_LOGGER } from '@understudy/platform';

const UNDERSTUDY = fileURLToPath(new URL('../../../bin/understudy', import.meta.url));
const directory = mkdtempSync(join(tmpdir(), 'composed-'));
const configFile = join(directory, 'node.yaml');
const paths = new NodePaths(join(directory, 'data'));
let runner: ChildProcess;
let bus: Bus;

beforeAll(async () => {
  chmodSync(directory, 0o755); // PostgreSQL's user must reach it
  const node = { name: 'alpha', role: 'primary', address: '127.0.79.1', dataDirectory: paths.dataDirectory };
  writeFileSync(configFile, JSON.stringify({ node, database: { parameters: { shared_buffers: '16MB' } } }));
  runner = spawn(UNDERSTUDY, ['node', 'run', '--config', configFile, '--layout', 'composed'], { stdio: 'ignore' });
  await until(() => existsSync(paths.busCredentials), 30_000);
  const credentials = readBusCredentials(paths);
  bus = await Bus.connect({ credentials, name: 'test', role: 'primary', logger: SILENT_LOGGER });
  await until(isServing, 60_000);
}, 100_000);

afterAll(async () => {
  await (bus as Bus | undefined)?.close();
  if (runner.exitCode === null) {
    runner.kill('SIGTERM');
    await once(runner, 'exit');
  }
  rmSync(directory, { recursive: true, force: true });
}, 60_000);

it('all eight services of a primary live in one process and serve alone', async () => {
  const answers = await Promise.all(
    SERVICE_NAMES.map((name) => bus.request(healthQueryOf(name), {}, { timeoutMs: 5000 })),
  );
  expect(new Set(answers.map(({ pid }) => pid))).toEqual(new Set([servicesPid()]));
  expect(answers.map(({ service }) => service)).toEqual([...SERVICE_NAMES]);
});

it('when killed they are back, and PostgreSQL has not noticed', async () => {
  const postmaster = postmasterPid();
  const before = servicesPid();
  process.kill(before, 'SIGKILL');
  await until(() => servicesPid() !== before && servicesPid() !== 0, 10_000);
  await until(isServing, 40_000);
  expect(postmasterPid()).toBe(postmaster);
}, 60_000);

it('an orderly stop leaves no process, PostgreSQL included', async () => {
  const children = lock().children;
  const postmaster = postmasterPid();
  const startTime = processStartTime(postmaster) ?? 0;
  const ended = new Promise((resolve) => runner.once('exit', resolve));
  runner.kill('SIGTERM');
  expect(await ended).toBe(0);
  expect(children.filter((child) => isAlive(child.pid, child.startTime))).toEqual([]);
  expect(isAlive(postmaster, startTime)).toBe(false);
}, 60_000);

async function isServing(): Promise<boolean> {
  try {
    for (const name of SERVICE_NAMES) {
      const { state } = await bus.request(healthQueryOf(name), {}, { timeoutMs: 1000 });
      if (state === 'starting') return false;
    }
    const facts = await bus.request(DatabaseFactsQuery, {}, { timeoutMs: 2000 });
    return facts.role === 'read-write' && facts.usable;
  } catch {
    return false;
  }
}

function lock(): { children: { name: string; pid: number; startTime: number }[] } {
  return JSON.parse(readFileSync(paths.runnerLock, 'utf8'));
}

function servicesPid(): number {
  return lock().children.find(({ name }) => name === 'composed')?.pid ?? 0;
}

function postmasterPid(): number {
  return Number(readFileSync(join(paths.dataDirectory, 'postgresql/postmaster.pid'), 'utf8').split('\n')[0]);
}

async function until(condition: () => boolean | Promise<boolean>, limitMs: number): Promise<void> {
  const limit = performance.now() + limitMs;
  while (!(await condition())) {
    if (performance.now() > limit) throw new Error(`not within ${limitMs} ms: ${condition}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
