import { execFileSync } from 'node:child_process';
import { appendFileSync, chmodSync, chownSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { findPostgresqlBinDirectory } from '@understudy/platform';
import { SETTINGS_ERRORS } from './pair-database.adapter.ts';

const programs = findPostgresqlBinDirectory(process.env.PATH ?? '') as string;
const root = process.getuid?.() === 0;
const idOf = (option: string) => (root ? Number(execFileSync('id', [option, 'postgres'], { encoding: 'utf8' })) : 0);
const owner = root ? { uid: idOf('-u'), gid: idOf('-g') } : {};
let directory: string;
let data: string;

beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'settings-'));
  data = join(directory, 'data');
  chmodSync(directory, 0o755);
  if (owner.uid !== undefined) chownSync(directory, owner.uid, owner.gid);
  run('initdb', ['-D', data, '-A', 'trust', '-U', 'postgres', '-N']);
  appendFileSync(join(data, 'postgresql.conf'), "shared_buffers = '16MB'\nmax_connections = 50\n");
  run('pg_ctl', [
    '-D',
    data,
    '-w',
    '-l',
    join(directory, 'log'),
    '-o',
    `-k ${directory} -c listen_addresses=`,
    'start',
  ]);
}, 120_000);
afterAll(() => {
  run('pg_ctl', ['-D', data, '-m', 'immediate', 'stop']);
  rmSync(directory, { recursive: true, force: true });
}, 60_000);

function run(program: string, words: string[]): string {
  const environment = { PATH: process.env.PATH, LC_ALL: 'C' };
  return execFileSync(join(programs, program), words, {
    ...{ ...owner, cwd: '/', env: environment, encoding: 'utf8' },
    // what PostgreSQL inherits would otherwise keep this open
    stdio: ['ignore', program === 'psql' ? 'pipe' : 'ignore', 'inherit'],
  });
}

function errors(): string[] {
  return JSON.parse(run('psql', ['-X', '-At', '-h', directory, '-U', 'postgres', '-c', `select (${SETTINGS_ERRORS})`]));
}

it('a setting that only waits for a restart is no error, whether it was changed or taken out; a wrong one is', () => {
  const file = join(data, 'postgresql.conf');
  expect(errors()).toEqual([]);
  writeFileSync(file, `${readFileSync(file, 'utf8').replace(/^max_connections.*$/gm, '')}shared_buffers = '17MB'\n`);
  expect(errors()).toEqual([]);
  appendFileSync(file, 'no_such_setting = 1\n');
  expect(errors()).toEqual(['no_such_setting: unrecognized configuration parameter']);
});
