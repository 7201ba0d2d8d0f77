import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { SILENT_LOGGER } from '@understudy/platform';
import { StorageWatch } from './storage-watch.ts';

const MIB = 1024 * 1024;
const describeAsRoot = process.getuid?.() === 0 ? describe : describe.skip;

describeAsRoot('the watch of the file systems, on a small disk (needs root)', () => {
  let directory: string;
  let disk: string;
  let told: { severity: string; code: string; message: string }[] = [];
  let nowMs = 0;

  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'storage-'));
    disk = join(directory, 'disk');
    mkdirSync(disk);
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=100m,nr_inodes=100', 'storage', disk]);
    told = [];
    nowMs = 0;
  });
  afterEach(() => {
    execFileSync('umount', [disk]);
    rmSync(directory, { recursive: true, force: true });
  });

  function watch(): StorageWatch {
    const places = [
      { use: 'data', path: disk },
      { use: 'database', path: join(disk, 'postgresql') },
    ];
    const options = {
      places,
      warnPercent: 80,
      criticalPercent: 90,
      checkSeconds: 3600,
      file: join(directory, 'levels'),
    };
    return new StorageWatch(
      options,
      (event) => told.push(event),
      { nowMs: () => nowMs, unixMs: () => 0 },
      SILENT_LOGGER,
    );
  }

  async function look(made: StorageWatch, mebibytes: number): Promise<void> {
    writeFileSync(join(disk, 'ballast'), Buffer.alloc(mebibytes * MIB, 1));
    nowMs += 60_000;
    await made.look();
  }

  it('tells when it runs low, when it is critical, and when it is clear, with the time left', async () => {
    const made = watch();
    await look(made, 50);
    await look(made, 60);
    expect(told).toEqual([]);
    await look(made, 85);
    await look(made, 86);
    await look(made, 95);
    await look(made, 20);
    expect(told).toEqual([
      {
        severity: 'warning',
        code: 'storage-warning',
        message: `space of ${disk} (data, database): 85 % used, 15 MiB free; all is used in about 51 s at the present rate`,
      },
      expect.objectContaining({ severity: 'critical', code: 'storage-critical' }),
      expect.objectContaining({ severity: 'info', code: 'storage-clear' }),
    ]);
  });

  it('tells of inodes as of space', async () => {
    const made = watch();
    await look(made, 1);
    for (let index = 0; index < 85; index++) writeFileSync(join(disk, `file-${index}`), '');
    await look(made, 1);
    expect(told).toEqual([
      expect.objectContaining({ severity: 'warning', message: expect.stringMatching(/^inodes of /) }),
    ]);
  });

  it('does not repeat itself after a restart, and tells what has cleared meanwhile', async () => {
    await look(watch(), 85);
    const next = watch();
    await next.start();
    next.stop();
    await look(next, 85);
    expect(told.map(({ code }) => code)).toEqual(['storage-warning']);
    const last = watch();
    await last.start();
    last.stop();
    await look(last, 10);
    await look(last, 10);
    expect(told.map(({ code }) => code)).toEqual(['storage-warning', 'storage-clear']);
  });
});
