import { execFile } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, it } from '@jest/globals';

const BENCHMARK = fileURLToPath(new URL('../../dist/bench/files.js', import.meta.url));

it('the benchmark of files measures each thing and leaves nothing behind', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'understudy-bench-'));
  try {
    const sizes = ['--files', '300', '--large-mib', '3', '--seconds', '1', '--tracked', '300'];
    const { stdout } = await promisify(execFile)(process.execPath, [BENCHMARK, '--directory', directory, ...sizes]);
    for (const what of [
      'first sync of 300 files of 4 KiB',
      'nothing changed among 300 files, median of 5',
      'first sync of one file of 3 MiB',
      '1 MiB changed in a file of 3 MiB: sent',
      'a change is on the standby, 100 changes/s, 100 changes: p99',
      'memory of the standby server’s engine with 300 files, at most',
    ])
      expect(stdout).toContain(`| ${what} | `);
    expect(stdout).toMatch(/ 3 MiB: sent \|.*\| yes \|/);
    expect(readdirSync(directory)).toEqual([]);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}, 180_000);
