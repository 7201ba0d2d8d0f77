import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { chownSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it, jest } from '@jest/globals';
import { configurationFrom } from './config.ts';
import { type SampleApp, startSampleApp } from './sample-app.ts';

const directory = mkdtempSync(join(tmpdir(), 'understudy-sample-'));
const version = readdirSync('/usr/lib/postgresql').sort((a, b) => Number(b) - Number(a))[0];
const program = (name: string) => `/usr/lib/postgresql/${version}/bin/${name}`;
/** PostgreSQL refuses root. */
const asPostgres =
  process.getuid?.() === 0 ? ['setpriv', '--reuid=postgres', '--regid=postgres', '--clear-groups'] : [];
let postgres: ChildProcess;
let app: SampleApp | undefined;

function startPostgres(): void {
  const words = [
    ...asPostgres,
    program('postgres'),
    '-D',
    `${directory}/data`,
    '-k',
    directory,
    '-c',
    'listen_addresses=',
  ];
  postgres = spawn(words[0] as string, words.slice(1), { stdio: 'ignore' });
}

async function until<T>(what: string, look: () => Promise<T | undefined>): Promise<T> {
  const deadline = performance.now() + 15_000;
  for (;;) {
    const seen = await look().catch(() => undefined);
    if (seen !== undefined) return seen;
    if (performance.now() > deadline) throw new Error(`not within 15 s: ${what}`);
    await sleep(20);
  }
}

const ask = async (path: string) => {
  const response = await fetch(`http://127.0.0.1:${app?.port}${path}`);
  return { status: response.status, text: await response.text() };
};

async function rowsAbove(count: number): Promise<{ server: string; total: number }> {
  return until(`more than ${count} rows`, async () => {
    const { text } = await ask('/rows');
    const answer = JSON.parse(text) as { server: string; total: number };
    return answer.total > count ? answer : undefined;
  });
}

beforeAll(() => {
  if (process.getuid?.() === 0) {
    const id = (flag: string) => Number(execFileSync('id', [flag, 'postgres'], { encoding: 'utf8' }));
    chownSync(directory, id('-u'), id('-g'));
  }
  const initdb = [...asPostgres, program('initdb'), '-D', `${directory}/data`, '-U', 'postgres', '-A', 'trust', '-N'];
  execFileSync(initdb[0] as string, initdb.slice(1), { stdio: 'ignore' });
  startPostgres();
}, 60_000);

afterAll(async () => {
  await app?.close();
  const ended = new Promise((resolve) => postgres.once('exit', resolve));
  postgres.kill('SIGQUIT');
  await ended;
  rmSync(directory, { recursive: true, force: true });
});

describe('the sample application', () => {
  it('writes a row each second, says who answers, and lives through a database that dies and returns', async () => {
    jest.spyOn(console, 'error').mockReturnValue(undefined);
    const { database, ...rest } = configurationFrom({ SAMPLE_PORT: '0', UNDERSTUDY_NODE_NAME: 'alpha<' });
    app = await startSampleApp({ ...rest, database: { ...database, host: directory, port: 5432, user: 'postgres' } });
    const { server, total } = await rowsAbove(0);
    expect(server).toBe('alpha<');
    expect((await ask('/health')).status).toBe(200);
    expect((await ask('/')).text).toContain('Answered by alpha&#60;');

    const ended = new Promise((resolve) => postgres.once('exit', resolve));
    postgres.kill('SIGQUIT');
    await ended;
    expect((await ask('/rows')).status).toBe(503);
    await until('unhealthy', async () => ((await ask('/health')).status === 503 ? true : undefined));
    startPostgres();
    await rowsAbove(total);
    await until('healthy again', async () => ((await ask('/health')).status === 200 ? true : undefined));
  }, 60_000);

  it('refuses a port that is none', () => {
    expect(() => configurationFrom({ SAMPLE_PORT: 'x' })).toThrow('SAMPLE_PORT');
  });
});
