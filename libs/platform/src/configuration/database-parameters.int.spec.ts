import { expect, it } from '@jest/globals';
import type { NodeConfiguration } from './configuration.schema.ts';
import { databaseParameterProblems } from './database-parameters.ts';
import { findPostgresqlBinDirectory } from './find-postgresql.ts';

function problemsOf(parameters: Record<string, string>, binDirectory = findPostgresqlBinDirectory('')) {
  const configuration = { database: { binDirectory, parameters } } as unknown as NodeConfiguration;
  return databaseParameterProblems('node.yaml', configuration);
}

it('names every setting that PostgreSQL refuses, with its reason, and no other', () => {
  const parameters = { work_mem: '8MB', shared_buffers: 'abc', max_conections: '5', max_connections: '-3' };
  expect(
    problemsOf({ ...parameters, 'some_extension.setting': '1' }).map(({ key, message }) => [key, message]),
  ).toEqual([
    ['database.parameters.shared_buffers', expect.stringContaining('invalid value')],
    ['database.parameters.max_conections', expect.stringContaining('unrecognized')],
    ['database.parameters.max_connections', expect.stringContaining('outside the valid range')],
  ]);
});

it('has nothing to say where all is well, or where there is no PostgreSQL', () => {
  expect(problemsOf({ work_mem: '8MB' })).toEqual([]);
  expect(problemsOf({ shared_buffers: 'abc' }, null)).toEqual([]);
  expect(problemsOf({ shared_buffers: 'abc' }, '/nowhere')).toEqual([]);
});
