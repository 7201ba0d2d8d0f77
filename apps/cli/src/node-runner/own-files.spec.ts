import { mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from '@jest/globals';
import type { NodeConfiguration } from '@understudy/platform';
import { ownFilesInFileSets } from './own-files.ts';

let directory: string;

beforeEach(() => {
  directory = realpathSync(mkdtempSync(join(tmpdir(), 'understudy-own-files-')));
  mkdirSync(at('disk/understudy/identity'), { recursive: true });
  mkdirSync(at('disk/nms'));
  symlinkSync(at('disk/understudy'), at('data'));
  symlinkSync(at('disk'), at('linked'));
});

afterEach(() => rmSync(directory, { recursive: true }));

const at = (path: string) => join(directory, path);
const refused = (path: string, databaseDirectory = at('data/postgresql')) =>
  ownFilesInFileSets({
    node: { dataDirectory: at('data') },
    database: { dataDirectory: databaseDirectory },
    fileSets: [{ path: at(path) }],
  } as unknown as NodeConfiguration);

it.each([
  ['around the data directory, that is a link', 'disk', 'disk'],
  ['in it', 'linked/understudy/identity', 'disk/understudy/identity'],
  ['in it, and not there yet', 'linked/understudy/new/one', 'disk/understudy/new/one'],
])('a file set is refused that is %s', (_, path, real) => {
  expect(refused(path)).toEqual([
    `fileSets.0.path: ${at(path)} is ${at(real)}, and lies in, or holds, node.dataDirectory ${at('disk/understudy')}; set it to a directory that has nothing in common with that`,
  ]);
});

it('a file set is refused that holds the database by way of a link', () => {
  expect(refused('disk/nms', at('linked/nms/postgresql'))).toEqual([expect.stringContaining('database.dataDirectory')]);
});

it('a file set beside them is not', () => {
  expect(refused('linked/nms')).toEqual([]);
  expect(refused('nowhere')).toEqual([]);
});
