import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, beforeEach, expect, it, jest } from '@jest/globals';
import type { ProcessConfiguration } from '@understudy/platform';
import { Supervised, until, viewOf } from './testing/supervised.ts';

jest.setTimeout(60_000);

/** Nothing supersedes the start. */
const NEVER = new AbortController().signal;
let directory: string;
let supervised: Supervised;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'understudy-processes-'));
  supervised = new Supervised(directory);
});
afterEach(async () => {
  await supervised.end();
  rmSync(directory, { recursive: true, force: true });
});

const file = (name: string) => join(directory, name);
const said = () => (existsSync(file('said')) ? readFileSync(file('said'), 'utf8').split('\n').filter(Boolean) : []);

/** Says when it starts, when it does its work, 0.3 s later, and when it stops. */
function process_(name: string, more: Partial<ProcessConfiguration> = {}): Partial<ProcessConfiguration> {
  const say = (word: string) => `echo ${word} ${name} >> ${file('said')}`;
  const script = `trap '${say('stops')}; exit 0' TERM; ${say('starts')}; sleep 0.3; ${say('works')}; touch ${file(name)}; while :; do sleep 0.05; done`;
  const healthCheck = {
    exec: ['/usr/bin/test', '-e', file(name)],
    intervalSeconds: 0.1,
    timeoutSeconds: 1,
    failures: 3,
  };
  return { name, command: ['/bin/sh', '-c', script], critical: true, healthCheck, ...more };
}

it('are started in the order of the configuration, each critical one when the one before does its work, and stopped in the reverse one', async () => {
  const supervisor = supervised.by(process_('database'), process_('server'), process_('web'));
  await supervisor.startAll(1, NEVER);
  const started = ['database', 'server', 'web'].flatMap((name) => [`starts ${name}`, `works ${name}`]);
  expect(said()).toEqual(started);
  await supervisor.stopAll();
  expect(said()).toEqual([...started, 'stops web', 'stops server', 'stops database']);
});

it('one whose check of a connection passes has started, and one whose server is gone is restarted', async () => {
  const listening = (): Promise<Server> =>
    new Promise((resolve) => {
      const server = createServer((socket) => socket.destroy()).listen(port, '127.0.0.1', () => resolve(server));
    });
  let port = 0;
  const first = await listening();
  port = (first.address() as { port: number }).port;
  const healthCheck = { tcp: `127.0.0.1:${port}`, intervalSeconds: 0.1, timeoutSeconds: 1, failures: 3 };
  const supervisor = supervised.by(process_('app', { healthCheck }));
  await supervisor.startAll(1, NEVER);
  const { pid, state } = viewOf(supervisor);
  expect(state).toBe('running');
  await new Promise((resolve) => first.close(resolve));
  await until(() => supervised.told.length > 0);
  const second = await listening();
  await until(() => viewOf(supervisor).state === 'running' && viewOf(supervisor).pid !== pid);
  expect(supervised.told[0]).toContain('its health check failed 3 times in a row');
  await new Promise((resolve) => second.close(resolve));
});

it('one whose command says that it is ill is restarted', async () => {
  const supervisor = supervised.by(process_('app'));
  await supervisor.startAll(1, NEVER);
  const { pid } = viewOf(supervisor);
  rmSync(file('app'));
  await until(() => viewOf(supervisor).state === 'running' && viewOf(supervisor).pid !== pid);
  expect(supervised.told[0]).toContain('its health check failed 3 times in a row');
});

const isRoot = process.getuid?.() === 0;
(isRoot ? it : it.skip)(
  'one of another user runs as that user, and finds the home of that user (needs root)',
  async () => {
    const command = ['/bin/sh', '-c', 'echo $(id -un) $USER $LOGNAME $HOME $OWN; exec sleep 1000'];
    const supervisor = supervised.by(
      { name: 'app', command, user: 'nobody', environment: { OWN: 'x' } },
      { name: 'own', command, user: 'nobody', environment: { HOME: '/elsewhere' } },
    );
    await supervisor.startAll(1, NEVER);
    const logOf = (name: string) => readFileSync(file(`logs/processes/${name}.log`), 'utf8');
    await until(() => ['app', 'own'].every((name) => logOf(name).endsWith('\n')));
    expect(logOf('app')).toBe('nobody nobody nobody /nonexistent x\n');
    expect(logOf('own')).toBe('nobody nobody nobody /elsewhere\n');
    await supervisor.stopAll();
    expect(viewOf(supervisor).state).toBe('stopped');
  },
);

it('the log of one that goes on writing is kept small, and nothing of what it writes later is lost', async () => {
  const log = file('logs/processes/app.log');
  const script = `head -c 11000000 /dev/zero | tr '\\0' x; while ! test -e ${file('go')}; do sleep 0.05; done; echo later; exec sleep 1000`;
  const supervisor = supervised.by({ name: 'app', command: ['/bin/sh', '-c', script] });
  await supervisor.startAll(1, NEVER);
  await until(() => existsSync(`${log}.1`) && statSync(log).size < 1000, 45_000);
  expect(statSync(`${log}.1`).size).toBeGreaterThan(10 * 1024 * 1024);
  await delay(100);
  writeFileSync(file('go'), '');
  await until(() => readFileSync(log, 'utf8').includes('later'));
});
