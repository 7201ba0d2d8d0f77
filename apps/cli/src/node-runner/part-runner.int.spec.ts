import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, beforeAll, expect, it } from '@jest/globals';
import { healthQueryOf, type ServiceName } from '@understudy/contracts';
import { Bus } from '@understudy/messaging';
import { isAlive, NodePaths, processStartTime, readBusCredentials, SILENT_LOGGER } from '@understudy/platform';
import type { Part } from './part-runner.ts';

const UNDERSTUDY = fileURLToPath(new URL('../../../../bin/understudy', import.meta.url));
const SERVED: readonly ServiceName[] = ['health-monitor', 'db-replication'];
const PARTS: readonly Part[] = ['nats', 'redis', 'health-monitor', 'db-replication'];
const directory = mkdtempSync(join(tmpdir(), 'parts-'));
const configFile = join(directory, 'node.yaml');
const paths = new NodePaths(join(directory, 'data'));
const started: ChildProcess[] = [];
let bus: Bus | null = null;

beforeAll(() => {
  chmodSync(directory, 0o755); // PostgreSQL's user must reach it
  const node = { name: 'alpha', role: 'primary', address: '127.0.78.1', dataDirectory: paths.dataDirectory };
  writeFileSync(configFile, JSON.stringify({ node, database: { parameters: { shared_buffers: '16MB' } } }));
});

afterEach(async () => {
  await bus?.close();
  bus = null;
  for (const child of started) if (child.exitCode === null && child.signalCode === null) child.kill('SIGTERM');
  await Promise.all(started.splice(0).map(ended));
}, 60_000);

afterAll(() => rmSync(directory, { recursive: true, force: true }));

it('parts that are there first wait, serve when the run begins, and outlive a killed service', async () => {
  const parts = startParts();
  const site = startSite();
  await serving();
  await until(() => PARTS.every((part) => isAnswered(part)));
  const [postmaster, before] = [postmasterPid(), await pidOf('db-replication')];
  process.kill(before, 'SIGKILL');
  await until(async () => (await pidOf('db-replication')) !== before);
  await serving();
  expect(postmasterPid()).toBe(postmaster);

  // in the order in which Docker stops containers that depend on one another
  for (const part of ['health-monitor', 'db-replication', 'redis', 'nats'] as const) {
    parts.get(part)?.kill('SIGTERM');
    expect(await ended(parts.get(part) as ChildProcess)).toBe(0);
  }
  site.kill('SIGTERM');
  expect(await ended(site)).toBe(0);
  expect(processStartTime(postmaster)).toBeNull();
}, 120_000);

it('when what holds the run is killed all parts end, PostgreSQL too, and the next run begins with them anew', async () => {
  const parts = startParts();
  const site = startSite();
  await serving();
  const postmaster = postmasterPid();
  const startTime = processStartTime(postmaster) ?? 0;
  const first = runId();
  site.kill('SIGKILL');
  expect(await Promise.all([...parts.values()].map(ended))).toEqual(PARTS.map(() => 1));
  expect(isAlive(postmaster, startTime)).toBe(false);
  await bus?.close();
  bus = null;

  startParts();
  startSite();
  await serving();
  expect(runId()).not.toBe(first);
}, 120_000);

function startSite(): ChildProcess {
  return start('site', ['node', 'run', '--layout', 'containers', '--config', configFile]);
}

function startParts(): Map<Part, ChildProcess> {
  return new Map(PARTS.map((part) => [part, start(part, ['node', 'part', part, '--config', paths.configuration])]));
}

function start(name: string, words: string[]): ChildProcess {
  const own = temporary(name);
  mkdirSync(own, { recursive: true });
  const child = spawn(UNDERSTUDY, words, { stdio: 'ignore', env: { ...process.env, TMPDIR: own } });
  started.push(child);
  return child;
}

async function ended(child: ChildProcess): Promise<number | null> {
  if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
  return child.exitCode;
}

/** Each container has a directory of its own for temporary files. */
function temporary(name: string): string {
  return join(directory, `tmp-${name}`);
}

function isAnswered(part: Part): boolean {
  const answered = statSync(join(temporary(part), 'answered'), { throwIfNoEntry: false });
  return answered !== undefined && Date.now() - answered.mtimeMs < 15_000;
}

/** Waits until both services are ready and PostgreSQL accepts writes. */
async function serving(): Promise<void> {
  await until(() => existsSync(paths.busCredentials));
  bus ??= await Bus.connect({
    credentials: readBusCredentials(paths),
    name: 'test',
    role: 'primary',
    logger: SILENT_LOGGER,
  });
  await until(async () => (await Promise.all(SERVED.map(healthOf))).every(({ state }) => state === 'ready'));
  await until(() => postmasterPid() > 0);
}

function healthOf(service: ServiceName) {
  if (bus === null) throw new Error('not connected');
  return bus.request(healthQueryOf(service), {}, { timeoutMs: 2000 });
}

async function pidOf(service: ServiceName): Promise<number> {
  return (await healthOf(service)).pid;
}

function runId(): string {
  return JSON.parse(readFileSync(paths.runnerLock, 'utf8')).runId;
}

/** 0 as long as none accepts connections. */
function postmasterPid(): number {
  const [pid, , , , , , , status] = readFileSync(join(paths.dataDirectory, 'postgresql/postmaster.pid'), 'utf8').split(
    '\n',
  );
  return status?.trim() === 'ready' ? Number(pid) : 0;
}

/** A condition that throws does not hold yet. */
async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  for (const limit = performance.now() + 60_000; ; ) {
    try {
      if (await condition()) return;
    } catch {
      // not yet
    }
    if (performance.now() > limit) throw new Error(`not within 60 s: ${condition}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
