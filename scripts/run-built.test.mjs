/** --help and wrong options are answered at once, without a build. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { test } from 'node:test';
import { ROOT } from './bootstrap.mjs';

for (const name of ['simulate', 'check-model', 'chaos']) {
  const run = (word) => spawnSync(process.execPath, [join(ROOT, `scripts/${name}.mjs`), word], { encoding: 'utf8' });

  test(`${name} tells its options, and which it does not know`, () => {
    const help = run('--help');
    assert.equal(help.status, 0);
    assert.match(help.stdout, /--seed|--depth/);
    const wrong = run('--bogus');
    assert.equal(wrong.status, 2);
    assert.match(`${wrong.stdout}${wrong.stderr}`, /unknown option '--bogus'/i);
  });
}
