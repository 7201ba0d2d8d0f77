import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { APPLICATION_MARK, bootId, type ProcessConfiguration } from '@understudy/platform';
import type { ProcessSupervisor } from './index.ts';
import { rotateLog } from './process-log.ts';
import { livingProcess, membersOf } from './process-table.ts';
import { runsAnew, Supervised, until, viewOf as view } from './testing/supervised.ts';

/** Nothing supersedes the start. */
const NEVER = new AbortController().signal;

jest.setTimeout(20_000);

describe('the application’s processes', () => {
  let directory: string;
  let supervised: Supervised;
  let servers: Server[];
  let told: string[];

  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'understudy-processes-'));
    supervised = new Supervised(directory);
    told = supervised.told;
    servers = [];
  });
  afterEach(async () => {
    await supervised.end();
    for (const server of servers) server.close();
    rmSync(directory, { recursive: true, force: true });
  });

  /** A process that runs a shell script. */
  const process_ = (script: string, overrides: Partial<ProcessConfiguration> = {}) => ({
    command: ['/bin/sh', '-c', script],
    ...overrides,
  });
  const supervise = (...processes: Partial<ProcessConfiguration>[]): ProcessSupervisor => supervised.by(...processes);
  const file = (name: string) => join(directory, name);
  const pidIn = (name: string) => Number(readFileSync(file(name), 'utf8'));
  const record = () => join(directory, 'run', 'processes', 'app.json');
  const members = (name = 'app') => membersOf(`${directory}|${name}`, null, false).map(({ pid }) => pid);

  it('runs them with what they need to know, and keeps their output', async () => {
    const supervisor = supervise(
      process_('echo "$PGHOST $PGPORT $PGUSER $UNDERSTUDY_NODE_NAME $UNDERSTUDY_NODE_ADDRESS $OWN"; exec sleep 1000', {
        environment: { OWN: 'x' },
      }),
    );
    const begun = performance.now();
    await supervisor.startAll(1, NEVER);
    expect(performance.now() - begun).toBeLessThan(5000);
    expect(view(supervisor)).toMatchObject({
      state: 'running',
      adapter: 'exec',
      restarts: 0,
      critical: true,
      pid: expect.any(Number),
    });
    await until(() => readFileSync(join(directory, 'logs/processes/app.log'), 'utf8').includes('\n'));
    expect(readFileSync(join(directory, 'logs/processes/app.log'), 'utf8')).toBe(
      `${join(directory, 'run')} 5544 postgres alpha 127.0.1.1 x\n`,
    );
    await supervisor.startAll(1, NEVER); // safe to repeat
    expect(members()).toHaveLength(1);
    await supervisor.stopAll();
    expect(members()).toEqual([]);
    expect(view(supervisor)).toMatchObject({ state: 'stopped', pid: null });
    expect(existsSync(record())).toBe(false);
  });

  it('runs them although their pid files cannot be written, and says so', async () => {
    mkdirSync(join(directory, 'run'), { recursive: true });
    writeFileSync(join(directory, 'run', 'processes'), 'in the way');
    const supervisor = supervise(process_('exec sleep 1000'));
    await supervisor.startAll(1, NEVER);
    expect(view(supervisor)).toMatchObject({ state: 'running', pid: expect.any(Number) });
    expect(told).toEqual([expect.stringContaining('warning app runs, but its pid file cannot be written')]);
    await supervisor.stopAll();
    expect(members()).toEqual([]);
  });

  it('starts again what is killed', async () => {
    const supervisor = supervise(process_('exec sleep 1000'));
    await supervisor.startAll(1, NEVER);
    const { pid } = view(supervisor);
    process.kill(pid as number, 'SIGKILL');
    await until(() => runsAnew(supervisor, pid));
    expect(view(supervisor).restarts).toBe(1);
    expect(told).toEqual(['warning app is restarted: it was ended by SIGKILL']);
    expect(members()).toHaveLength(1);
  });

  it('gives up a critical process that ends again and again, once, and says when it has recovered', async () => {
    const supervisor = supervise(process_(`test -e ${file('mended')} || exit 3; exec sleep 1000`));
    await expect(supervisor.startAll(1, NEVER)).rejects.toMatchObject({
      code: 'process-failed',
      message: expect.stringContaining('exit code 3'),
    });
    const failed = () => told.filter((line) => line.startsWith('failed'));
    expect(failed()).toEqual(['failed app: it ended with exit code 3; 3 restarts within 60 s are used up']);
    expect(view(supervisor)).toMatchObject({ state: 'failed', restarts: 3 });
    await expect(supervisor.startAll(1, NEVER)).rejects.toMatchObject({ code: 'process-failed' });
    expect(failed()).toHaveLength(1);
    writeFileSync(file('mended'), '');
    await supervisor.startAll(1, NEVER);
    await until(() => told.includes('recovered app'), 10_000);
    expect(view(supervisor).state).toBe('running');
  });

  it('says which program is missing', async () => {
    const supervisor = supervise(process_('', { command: ['/no/such/program'] }));
    await expect(supervisor.startAll(1, NEVER)).rejects.toThrow(/spawn \/no\/such\/program ENOENT/);
  });

  it('says that the directory is missing, not the program', async () => {
    const supervisor = supervise(process_('exec sleep 1000', { workingDirectory: file('away') }));
    await expect(supervisor.startAll(1, NEVER)).rejects.toThrow(`there is no directory ${file('away')}`);
  });

  it('does not wait for a process that is not critical, nor fail with it', async () => {
    const supervisor = supervise(process_('exit 1', { name: 'helper', critical: false }), process_('exec sleep 1000'));
    await supervisor.startAll(1, NEVER);
    await until(() => view(supervisor, 'helper').state === 'failed');
    expect(told.some((line) => line.startsWith('failed'))).toBe(false);
    expect(told.filter((line) => line.includes('cannot be restarted'))).toHaveLength(1);
  });

  it('kills what ignores SIGTERM after the grace time, with all its children', async () => {
    const supervisor = supervise(
      process_('trap "" TERM; sleep 1000 & sleep 1000 & while :; do sleep 0.05; done', { stopSeconds: 0.3 }),
    );
    await supervisor.startAll(1, NEVER);
    await until(() => members().length >= 3);
    const begun = performance.now();
    await supervisor.stopAll();
    expect(performance.now() - begun).toBeGreaterThan(290);
    expect(members()).toEqual([]);
  });

  it('leaves nothing of a daemon: neither what stays in the session without its environment nor what leaves it', async () => {
    const supervisor = supervise(
      process_(
        `(env -i /bin/sh -c 'echo $$ > ${file('stays')}; exec sleep 1000' &) ; (setsid /bin/sh -c 'echo $$ > ${file('leaves')}; exec sleep 1000' &) ; exec sleep 1000`,
      ),
    );
    await supervisor.startAll(1, NEVER);
    await until(
      () => existsSync(file('stays')) && existsSync(file('leaves')) && pidIn('stays') > 0 && pidIn('leaves') > 0,
    );
    await supervisor.stopAll();
    expect([livingProcess(pidIn('stays')), livingProcess(pidIn('leaves'))]).toEqual([null, null]);
  });

  it('ends what a killed process has left behind before it starts the next', async () => {
    const supervisor = supervise(process_(`sleep 1000 & echo $! > ${file('child')}; exec sleep 1001`));
    await supervisor.startAll(1, NEVER);
    await until(() => existsSync(file('child')) && pidIn('child') > 0);
    const child = pidIn('child');
    process.kill(view(supervisor).pid as number, 'SIGKILL');
    await until(
      () => view(supervisor).restarts === 1 && view(supervisor).state === 'running' && members().length === 2,
    );
    expect(livingProcess(child)).toBeNull();
  });

  it('adopts what runs when the manager is new: not started twice, still watched, stopped in the end', async () => {
    const configuration = process_('exec sleep 1000');
    const first = supervise(configuration);
    await first.startAll(1, NEVER);
    const { pid } = view(first);
    await first.release();
    const second = supervise(configuration);
    expect(view(second)).toMatchObject({ state: 'running', pid });
    await second.startAll(1, NEVER);
    expect(view(second).pid).toBe(pid);
    process.kill(pid as number, 'SIGKILL');
    await until(() => runsAnew(second, pid));
    await second.release();
    const third = supervise(configuration);
    await third.stopAll();
    expect(members()).toEqual([]);
  });

  it('does not adopt what was started otherwise than configured now', async () => {
    const first = supervise(process_('exec sleep 1000'));
    await first.startAll(1, NEVER);
    const { pid } = view(first);
    await first.release();
    const second = supervise(process_('exec sleep 1001'));
    expect(view(second).state).toBe('stopped');
    await second.startAll(1, NEVER);
    expect(livingProcess(pid as number)).toBeNull();
    expect(members()).toEqual([view(second).pid]);
  });

  it('neither adopts nor ends a stranger who got the pid', async () => {
    const stranger = spawn('/bin/sleep', ['1000'], { detached: true, stdio: 'ignore' });
    try {
      const first = supervise(process_('exec sleep 1000'));
      await first.startAll(1, NEVER);
      const kept = JSON.parse(readFileSync(record(), 'utf8')) as Record<string, unknown>;
      await first.stopAll();
      const started = livingProcess(stranger.pid as number)?.startTime as number;
      const forgeries = [
        { pid: stranger.pid, startTime: started - 1, bootId: bootId() },
        { pid: stranger.pid, startTime: started, bootId: 'another boot' },
      ];
      for (const forgery of forgeries) {
        writeFileSync(record(), JSON.stringify({ ...kept, ...forgery }));
        const second = supervise(process_('exec sleep 1000'));
        expect(view(second).state).toBe('stopped');
        await second.startAll(1, NEVER);
        expect(view(second).pid).not.toBe(stranger.pid);
        await second.stopAll();
        expect(livingProcess(stranger.pid as number)).not.toBeNull();
      }
    } finally {
      stranger.kill('SIGKILL');
    }
  });

  it('finds what a manager has started that died before it wrote it down', async () => {
    const orphan = spawn('/bin/sleep', ['1000'], {
      detached: true,
      stdio: 'ignore',
      env: { [APPLICATION_MARK]: `${directory}|app` },
    });
    const supervisor = supervise(process_('exec sleep 1000'));
    await supervisor.startAll(1, NEVER);
    expect(members()).toEqual([view(supervisor).pid]);
    expect(orphan.pid).not.toBe(view(supervisor).pid);
  });

  it('stops what is not configured any more', async () => {
    const first = supervise(process_('exec sleep 1000'));
    await first.startAll(1, NEVER);
    await first.release();
    supervise();
    await until(() => members().length === 0);
    expect(told).toEqual(['warning app is not configured any more: what is left of it is stopped']);
  });

  it('starts what runs on both servers at once, and leaves it alone when the active role goes', async () => {
    const supervisor = supervise(
      process_('exec sleep 1000', { name: 'agent', runsOn: 'both', critical: false }),
      process_('exec sleep 1000'),
    );
    await until(() => view(supervisor, 'agent').state === 'running');
    await supervisor.startAll(1, NEVER);
    await supervisor.stopAll();
    expect([view(supervisor, 'agent').state, view(supervisor).state]).toEqual(['running', 'stopped']);
    await supervisor.stopEverything();
    expect(members('agent')).toEqual([]);
  });

  it('waits for the first pass of a check, and restarts what fails it three times in a row', async () => {
    let status = 503;
    const server = createServer((_, response) => response.writeHead(status).end());
    servers.push(server);
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const http = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
    const healthCheck = { http, intervalSeconds: 0.1, timeoutSeconds: 1, failures: 3 };
    const supervisor = supervise(process_('exec sleep 1000', { healthCheck }));
    let started = false;
    const start = supervisor.startAll(1, NEVER).then(() => {
      started = true;
    });
    await until(() => view(supervisor).pid !== null);
    await delay(400);
    expect([started, view(supervisor).state]).toEqual([false, 'starting']);
    status = 200;
    await start;
    const { pid } = view(supervisor);
    status = 500;
    await until(() => told.length > 0);
    status = 200;
    await until(() => runsAnew(supervisor, pid));
    expect(told).toEqual([
      `warning app is restarted: its health check failed 3 times in a row: ${http} answered with status 500`,
    ]);
  });

  it.each<[string, object]>([
    ['command', { exec: ['/bin/sh', '-c', 'sleep 1000 & sleep 1000'] }],
    ['connection', { tcp: '127.0.0.1:1' }],
  ])('does not get ready while its %s check fails, and can be stopped meanwhile', async (_, way) => {
    const healthCheck = { ...way, intervalSeconds: 0.1, timeoutSeconds: 0.2, failures: 3 } as NonNullable<
      ProcessConfiguration['healthCheck']
    >;
    const supervisor = supervise(
      process_('exec sleep 1000', { healthCheck }),
      process_('exec sleep 1000', { name: 'later' }),
    );
    const outcome = supervisor.startAll(1, NEVER).catch((error: { code: string }) => error.code);
    await until(() => view(supervisor).pid !== null);
    await supervisor.stopAll();
    expect(await outcome).toBe('superseded');
    expect([members(), view(supervisor, 'later').state]).toEqual([[], 'stopped']);
  });

  it('is given up when a later decision comes: nothing more is started, and nobody waits for what is not ready', async () => {
    const healthCheck = { tcp: '127.0.0.1:1', intervalSeconds: 0.1, timeoutSeconds: 0.2, failures: 3 };
    const supervisor = supervise(
      process_('exec sleep 1000', { healthCheck }),
      process_('exec sleep 1000', { name: 'later' }),
    );
    const later = new AbortController();
    const outcome = supervisor.startAll(1, later.signal).catch((error: { code: string }) => error.code);
    await until(() => view(supervisor).pid !== null);
    later.abort();
    expect(await outcome).toBe('superseded');
    expect(view(supervisor, 'later').state).toBe('stopped');
    await expect(supervisor.startAll(2, AbortSignal.abort())).rejects.toMatchObject({ code: 'superseded' });
    await supervisor.stopAll();
    expect(members()).toEqual([]);
  });

  it('is killed without grace when the right to serve ends, also beside a stop that waits', async () => {
    const stubborn = `trap '' TERM; echo $$ > ${file('pid')}; while :; do sleep 0.1; done`;
    const supervisor = supervise(process_(stubborn, { stopSeconds: 60 }));
    await supervisor.startAll(1, NEVER);
    await until(() => existsSync(file('pid')));
    const stop = supervisor.stopAll();
    await delay(200);
    expect(members()).not.toEqual([]);
    const begunMs = performance.now();
    await supervisor.killAll();
    await stop;
    expect(members()).toEqual([]);
    expect(performance.now() - begunMs).toBeLessThan(5000);
    await supervisor.startAll(2, NEVER);
    await supervisor.killAll();
    expect(members()).toEqual([]);
  });

  it('refuses an epoch that is over', async () => {
    const supervisor = supervise(process_('exec sleep 1000'));
    await supervisor.startAll(7, NEVER);
    await expect(supervisor.startAll(6, NEVER)).rejects.toMatchObject({ code: 'stale-epoch' });
  });

  it('shows what is switched off as disabled, in the order of the configuration, and stops what is left of it', async () => {
    const first = supervise(process_('exec sleep 1000'));
    await first.startAll(1, NEVER);
    await first.release();
    const second = supervise(process_('exec sleep 1000', { enabled: false }), process_('', { name: 'other' }));
    expect(second.views().map(({ name, state }) => [name, state])).toEqual([
      ['app', 'disabled'],
      ['other', 'stopped'],
    ]);
    await second.startAll(1, NEVER).catch(() => undefined);
    await until(() => members().length === 0);
  });

  it('is always whole after any order of starts, stops and kills', async () => {
    const supervisor = supervise(process_('sleep 1000 & exec sleep 1001', { stopSeconds: 1 }));
    const steps: Promise<unknown>[] = [];
    for (let step = 0; step < 12; step += 1) {
      steps.push(step % 3 === 2 ? supervisor.stopAll() : supervisor.startAll(step, NEVER).catch(() => undefined));
      if (step % 4 === 1) for (const pid of members()) process.kill(pid, 'SIGKILL');
      await delay(step * 7);
    }
    await Promise.all(steps);
    await supervisor.startAll(99, NEVER);
    await until(() => members().length === 2);
    await supervisor.stopAll();
    expect(members()).toEqual([]);
  });

  it('keeps three old logs', () => {
    const log = file('app.log');
    for (let age = 1; age <= 5; age += 1) {
      writeFileSync(log, `${age}`.repeat(20));
      rotateLog(log, 10);
    }
    rotateLog(log, 10);
    expect([log, `${log}.1`, `${log}.2`, `${log}.3`].map((path) => readFileSync(path, 'utf8')[0])).toEqual([
      undefined,
      '5',
      '4',
      '3',
    ]);
    expect(existsSync(`${log}.4`)).toBe(false);
  });
});
