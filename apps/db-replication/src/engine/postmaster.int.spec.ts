import { spawn } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it, jest } from '@jest/globals';
import { processStartTime } from '@understudy/platform';
import { Programs } from '../adapters/programs.ts';
import { type DatabaseServer, DatabaseStage, until } from '../testing/database-stage.ts';
import { ConfigurationFiles } from './configuration-files.ts';
import { Postmaster } from './postmaster.ts';

jest.setTimeout(120_000);

let stage: DatabaseStage;
let a: DatabaseServer;

beforeAll(async () => {
  stage = await DatabaseStage.make();
  ({ a } = stage);
  await a.perform({ kind: 'start-active' });
});

afterAll(() => stage.remove());

it('a killed one runs, and is ours, until it has let go of everything', async () => {
  const programs = new Programs(a.settings);
  const postmaster = new Postmaster(a.settings, programs, new ConfigurationFiles(a.settings, programs, noEvents));
  let pid = 0;
  for (let round = 0; round < 10; round++) {
    await a.reaches({ usable: true });
    await until(async () => ((await postmaster.locate())?.pid ?? pid) !== pid);
    const { startTime } = postmaster.running as { startTime: number };
    pid = a.postmasterPid;
    const seen = { looks: 0, missed: 0, foreign: 0 };
    process.kill(pid, 'SIGKILL');
    // Without a pause: what is looked for lasts for microseconds.
    for (; processStartTime(pid) === startTime; seen.looks++) {
      if (postmaster.isForeign) seen.foreign++;
      if (postmaster.running === null && processStartTime(pid) === startTime) seen.missed++;
    }
    expect(seen).toMatchObject({ missed: 0, foreign: 0 });
    expect(postmaster.running).toBeNull();
    // The service counts crashes; a task makes it forget them.
    await a.perform({ kind: 'start-active' });
  }
});

it('a task that comes while one is ending starts another', async () => {
  for (let round = 0; round < 5; round++) {
    await a.reaches({ usable: true });
    const pid = a.postmasterPid;
    process.kill(pid, 'SIGKILL');
    await a.perform({ kind: 'start-active' });
    expect(a.postmasterPid).not.toBe(pid);
    await a.query('select 1');
  }
});

it('an end in the first moment after a task is told', async () => {
  await a.engine.close({ shutdown: true });
  await a.begin('another run');
  a.incidents.length = 0;
  await a.perform({ kind: 'start-active' });
  process.kill(a.postmasterPid, 'SIGKILL');
  await until(async () => a.incidents.some(({ code }) => code === 'postgresql-ended'), 5000);
  await a.reaches({ usable: true });
});

it('one that another hand has started is foreign, until it ends', async () => {
  await a.perform({ kind: 'stop' });
  const { dataDirectory, binDirectory, port } = a.settings;
  const configuration = join(stage.directory, 'by-hand.conf');
  writeFileSync(configuration, `listen_addresses = ''\nport = ${port}\nunix_socket_directories = '/tmp'\n`);
  const words = [
    '-D',
    dataDirectory,
    '-c',
    `config_file=${configuration}`,
    '-c',
    `hba_file=${dataDirectory}/pg_hba.conf`,
  ];
  const { owner } = new Programs(a.settings);
  const hand = spawn(join(binDirectory, 'postgres'), words, { cwd: '/', stdio: 'ignore', ...owner });
  await a.reaches({ foreignPostmaster: true, running: true });
  await expect(a.perform({ kind: 'start-active' })).rejects.toThrow('foreign-postmaster');
  hand.kill('SIGKILL');
  await until(async () => hand.signalCode !== null);
  await a.perform({ kind: 'start-active' });
  expect(await a.engine.facts()).toMatchObject({ foreignPostmaster: false, usable: true });
});

const noEvents = { factsObserved: () => undefined, incident: () => undefined };
