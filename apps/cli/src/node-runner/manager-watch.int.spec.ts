import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { APPLICATION_MARK, SILENT_LOGGER, SystemClock } from '@understudy/platform';
import { ManagerWatch, managerSilenceMs } from './manager-watch.ts';
import { RotatingLog } from './rotating-log.ts';
import { SupervisedChild } from './supervised-child.ts';

const SILENCE_MS = 1000;
const UNMANAGED_MS = 3000;
const clock = new SystemClock();
const directory = mkdtempSync(join(tmpdir(), 'manager-'));
const peerFile = join(directory, 'peer.json');
const trouble = join(directory, 'trouble');
/** Answers as a service does; what the file says it does beforehand: nothing for ever, or much for 6 s after its start has finished. */
const MANAGER = `
const { existsSync, readFileSync } = require('node:fs');
const trouble = existsSync(process.argv[1]) ? readFileSync(process.argv[1], 'utf8') : '';
process.on('message', () => process.send({ type: 'pong' }));
if (trouble !== 'never ready') process.send({ type: 'ready' });
if (trouble === 'busy') setTimeout(() => { for (const end = Date.now() + 6000; Date.now() < end;); }, 700);
`;
let child: SupervisedChild;
let watch: ManagerWatch;

/** A manager that is watched, and its pid once it has answered. */
async function watched(): Promise<number> {
  const command = {
    name: 'health-monitor',
    program: process.execPath,
    args: ['-e', MANAGER, trouble],
    environment: process.env,
    isService: true,
  };
  child = new SupervisedChild(command, clock, SILENT_LOGGER, new RotatingLog(join(directory, 'log')), () => undefined);
  const server = { silenceMs: SILENCE_MS, unmanagedMs: UNMANAGED_MS, peerFile, dataDirectory: directory };
  watch = new ManagerWatch(child, server, clock, SILENT_LOGGER);
  child.start();
  watch.start();
  await until('it answers', 10_000, () => child.words > 1);
  return child.pid ?? 0;
}

it.each([
  ['the documented times', { intervalSeconds: 5, missedLimit: 3, graceSeconds: 10 }, 5000],
  ['a peer that waits 16 s', { intervalSeconds: 4, missedLimit: 3, graceSeconds: 4 }, 4000],
  ['a peer that waits 4 s', { intervalSeconds: 1, missedLimit: 3, graceSeconds: 1 }, 3000],
])('the silence that is borne follows from the heartbeat: %s', (_, heartbeat, expected) => {
  expect(managerSilenceMs({ probeTimeoutSeconds: 1, ...heartbeat })).toBe(expected);
});

describe('a watched manager', () => {
  beforeEach(() => {
    for (const file of [peerFile, trouble]) rmSync(file, { force: true });
  });
  afterEach(async () => {
    watch.stop();
    if (child.pid !== null) process.kill(child.pid, 'SIGCONT');
    await child.stop({ shutdown: false, limitMs: 1000 });
  });
  afterAll(() => rmSync(directory, { recursive: true, force: true }));

  it('is replaced within seconds when it stands still', async () => {
    const hung = await watched();
    process.kill(hung, 'SIGSTOP');
    await until('another answers', 10_000, () => ![null, hung].includes(child.pid) && child.words > 0);
  });

  it('is not while it has the CPU, nor while this process stands still itself', async () => {
    writeFileSync(trouble, 'busy');
    const busy = await watched();
    const wordsBefore = child.words;
    await delay(3000);
    expect(child.words - wordsBefore).toBeLessThan(3); // it really was busy
    await until('it answers again', 10_000, () => child.words > wordsBefore + 3);
    expect(child.pid).toBe(busy);
    process.kill(busy, 'SIGSTOP');
    for (const endMs = clock.nowMs() + 3 * SILENCE_MS; clock.nowMs() < endMs; ); // as a whole machine does
    process.kill(busy, 'SIGCONT');
    const wordsAfter = child.words;
    await until('it answers still', 10_000, () => child.words > wordsAfter + 3);
    expect(child.pid).toBe(busy);
  }, 40_000);

  it('leaves no application behind on a paired server where none comes back; without a pair it is left alone', async () => {
    const hung = await watched();
    const environment = { PATH: process.env.PATH, [APPLICATION_MARK]: `${directory}|Server` };
    const application = spawn('sleep', ['1000'], { env: environment, stdio: 'ignore' });
    writeFileSync(trouble, 'never ready');
    process.kill(hung, 'SIGKILL');
    await delay(UNMANAGED_MS + 2000);
    expect(application.signalCode).toBeNull();
    writeFileSync(peerFile, '{}');
    await until('it is stopped', 10_000, () => application.signalCode === 'SIGKILL');
  }, 40_000);
});

async function until(what: string, withinMs: number, holds: () => boolean): Promise<void> {
  for (const endMs = clock.nowMs() + withinMs; !holds(); await delay(20))
    if (clock.nowMs() > endMs) throw new Error(`${what}: not within ${withinMs} ms`);
}
