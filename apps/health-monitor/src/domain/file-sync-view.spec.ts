import { expect, it } from '@jest/globals';
import type { FileSetView } from '@understudy/contracts';
import { fileSyncView } from './file-sync-view.ts';

const SET: FileSetView = {
  name: 'settings',
  path: '/etc/nms',
  class: 'realtime',
  direction: 'fetches',
  reason: '',
  files: 3,
  bytes: 30,
  lastRunAt: '2026-01-02T03:04:05.000Z',
  lastCompleteAt: null,
  pendingFiles: 2,
  pendingBytes: 20,
  bytesPerSecond: null,
  errors: [],
  errorCount: 1,
  awaitingDeletion: null,
  peer: null,
};
const OTHER: FileSetView = { ...SET, name: 'licenses', lastRunAt: '2026-01-02T03:00:00.000Z' };
const IDLE: FileSetView = { ...OTHER, errorCount: 0, direction: 'unknown', reason: 'neither active nor standby' };

it.each([
  ['no word of file-sync', null, { lastRunAt: null, pending: null, errors: null }],
  ['no sets', [], { lastRunAt: null, pending: null, errors: null }],
  ['two sets: the oldest run, the sums', [SET, OTHER], { lastRunAt: OTHER.lastRunAt, pending: 4, errors: 2 }],
  ['a set that has not run yet', [SET, { ...OTHER, lastRunAt: null }], { lastRunAt: null, pending: 4, errors: 2 }],
  [
    'a set of which nothing is synchronised is one error',
    [{ ...SET, errorCount: 0, reason: 'nothing listens there' }, { ...OTHER, reason: 'nothing listens there' }, IDLE],
    { lastRunAt: OTHER.lastRunAt, pending: 6, errors: 2 },
  ],
  [
    'deletions that wait for an operator are pending, and their set is an error',
    [{ ...SET, errorCount: 0, awaitingDeletion: { deletions: 30, files: 40 } }],
    { lastRunAt: SET.lastRunAt, pending: 32, errors: 1 },
  ],
])('%s', (_, fileSets, expected) => {
  expect(fileSyncView(fileSets && { fileSets })).toEqual(expected);
});
