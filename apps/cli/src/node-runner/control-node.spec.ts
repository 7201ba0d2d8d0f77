import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from '@jest/globals';
import { NodePaths } from '@understudy/platform';
import { nodeStatus, stopNode } from './control-node.ts';
import { takeRunnerLock } from './runner-lock.ts';

const NOBODY = 65_534;

it('whoever may not read whether the server runs is told so, not that it does not', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'understudy-control-'));
  chmodSync(directory, 0o755);
  const configFile = join(directory, 'node.yaml');
  const node = { name: 'alpha', role: 'primary', address: '127.0.0.1', dataDirectory: directory };
  writeFileSync(configFile, JSON.stringify({ node }));
  const paths = new NodePaths(directory);
  try {
    expect(nodeStatus({ configFile })).toBeNull();
    mkdirSync(paths.run, { recursive: true });
    takeRunnerLock(paths, 'run');
    expect(nodeStatus({ configFile })).toMatchObject({ pid: process.pid });
    const isRoot = process.geteuid?.() === 0;
    if (isRoot) process.seteuid?.(NOBODY);
    else chmodSync(paths.runnerLock, 0);
    try {
      const words = `${paths.runnerLock} cannot be read (EACCES); run this as the user of the server`;
      expect(() => nodeStatus({ configFile })).toThrow(words);
      await expect(stopNode({ configFile })).rejects.toThrow(words);
    } finally {
      if (isRoot) process.seteuid?.(0);
    }
  } finally {
    rmSync(directory, { recursive: true });
  }
});
