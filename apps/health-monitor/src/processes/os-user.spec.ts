import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from '@jest/globals';
import { accountOf } from './os-user.ts';

let directory: string;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'understudy-user-'));
});

afterEach(() => rmSync(directory, { recursive: true }));

it('a user whom only a directory service knows is one', async () => {
  const getent = join(directory, 'getent');
  writeFileSync(getent, '#!/bin/sh\n[ "$*" = "passwd nms" ] && echo "nms:*:7777:7778:NMS:/home/nms:"\n');
  chmodSync(getent, 0o755);
  expect(await accountOf('nms', getent)).toEqual({ user: 'nms', group: '7778', home: '/home/nms', shell: '/bin/sh' });
});

it('one whom nobody knows is told by name', async () => {
  await expect(accountOf('nobody-of-this-name')).rejects.toThrow(
    'there is no operating system user "nobody-of-this-name"',
  );
});
