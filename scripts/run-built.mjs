/** Runs a program of the repository from its build, which is made first. */
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { NODE, ROOT, runnable } from './bootstrap.mjs';

/** What lets the bundled Node.js run the source as it is. */
const FROM_SOURCE = ['--conditions=@understudy/source', '--experimental-transform-types', '--no-warnings'];

/**
 * A build may take a minute: --help and wrong options are answered before it, by `reader`, a source file that reads the options and does
 * nothing else. Sets the exit code.
 */
export function runBuilt({ project, reader, program, nodeOptions = [] }) {
  const words = process.argv.slice(2);
  const read = existsSync(NODE) ? run([...FROM_SOURCE, join(ROOT, project, 'src', reader), ...words]) : 0;
  if (read !== 0 || words.includes('--help') || words.includes('-h')) {
    process.exitCode = read;
    return;
  }
  const built = spawnSync(join(ROOT, 'node_modules/.bin/tsc'), ['-b', join(ROOT, project)], { stdio: 'inherit' });
  process.exitCode = built.status || run([...nodeOptions, join(ROOT, project, 'dist', program), ...words]);
}

function run(words) {
  return spawnSync(runnable(), words, { stdio: 'inherit' }).status ?? 1;
}
