import { expect, it } from '@jest/globals';
import type { FileSetView } from '@understudy/contracts';
import { fileSetLines } from './file-sets.ts';

const SET: FileSetView = {
  name: 'settings',
  path: '/etc/nms',
  class: 'realtime',
  direction: 'sends',
  reason: '',
  files: 3,
  bytes: 2048,
  lastRunAt: null,
  lastCompleteAt: '2026-01-02T03:04:05.000Z',
  pendingFiles: 0,
  pendingBytes: 0,
  bytesPerSecond: null,
  errors: [],
  errorCount: 0,
  awaitingDeletion: null,
  peer: null,
};
const LINE = 'settings (realtime): sends to the peer; 3 files (2.0 KiB), complete at 2026-01-02T03:04:05.000Z';

it('a set has a line, and below it what needs attention here and on the peer, each once', () => {
  const same = '/etc/nms cannot be read: permission denied';
  const awaitingDeletion = { deletions: 30, files: 31 };
  const errors = [{ path: 'a', message: 'the disk is full' }];
  const peer = { reason: same, errors, errorCount: 5, awaitingDeletion };
  expect(fileSetLines({ fileSets: [{ ...SET, reason: same, peer }] })).toEqual([
    LINE,
    `  ${same}`,
    '  on the peer: 30 of 31 files would go at once: confirm-deletion there lets them',
    '  on the peer: a: the disk is full',
    '  on the peer: and 4 more',
  ]);
  expect(fileSetLines({ fileSets: [{ ...SET, awaitingDeletion }] })).toEqual([
    LINE,
    '  30 of 31 files would go at once: confirm-deletion lets them',
  ]);
  expect(fileSetLines({ fileSets: [SET] })).toEqual([LINE]);
  expect(fileSetLines({ fileSets: [{ ...SET, files: 1 }] })).toEqual([LINE.replace('3 files', '1 file')]);
});

it('nothing that the peer says is more than a line, or is acted on by the terminal', () => {
  const peer = {
    reason: 'a\nb',
    errors: [{ path: 'c', message: '\u001b[2J\u009bm' }],
    errorCount: 1,
    awaitingDeletion: null,
  };
  expect(fileSetLines({ fileSets: [{ ...SET, peer }] })).toEqual([
    LINE,
    '  on the peer: a\\u000ab',
    '  on the peer: c: \\u001b[2J\\u009bm',
  ]);
});
