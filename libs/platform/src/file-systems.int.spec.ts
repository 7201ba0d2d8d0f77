import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { fileSystemUsage } from './file-systems.ts';

const { PATH } = process.env;
let directory: string;

beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'file-systems-'));
});
afterEach(() => {
  process.env.PATH = PATH;
});
afterAll(() => rmSync(directory, { recursive: true, force: true }));

describe('how full a file system is', () => {
  it('is told of the file system on which a path would be made, too', async () => {
    const usage = await fileSystemUsage(directory, 10_000);
    expect(usage.sizeBytes).toBeGreaterThan(usage.availableBytes);
    expect(usage.usedPercent).toBeGreaterThan(0);
    expect(await fileSystemUsage(join(directory, 'not', 'there'), 10_000)).toMatchObject({
      mountPoint: usage.mountPoint,
      sizeBytes: usage.sizeBytes,
    });
  });

  it('is given up when there is no answer, and not asked again until the look that hangs has ended', async () => {
    // what it leaves behind cannot be ended by us, as a process that waits for a dead disk
    const dead = join(directory, 'dead');
    writeFileSync(dead, '');
    writeFileSync(join(directory, 'df'), `#!/bin/sh\nwhile test -e ${dead}; do sleep 0.1; done &\nwait\n`);
    chmodSync(join(directory, 'df'), 0o755);
    process.env.PATH = `${directory}:${PATH}`;
    await expect(fileSystemUsage(directory, 300)).rejects.toThrow('does not answer within');
    process.env.PATH = PATH;
    const again = performance.now();
    await expect(fileSystemUsage(directory, 10_000)).rejects.toThrow(/does not answer$/);
    expect(performance.now() - again).toBeLessThan(5000);
    rmSync(dead);
    const answer = () => fileSystemUsage(directory, 10_000).catch(() => null);
    for (const endMs = performance.now() + 10_000; (await answer()) === null && performance.now() < endMs; )
      await sleep(50);
    expect((await fileSystemUsage(directory, 10_000)).sizeBytes).toBeGreaterThan(0);
  });
});
