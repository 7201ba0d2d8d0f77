/** `npm run check:model`: explores the state machine of both servers. `-- --help` tells the options. */
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { ROOT, runnable } from './bootstrap.mjs';

const library = join(ROOT, 'libs/model-check');
const words = ['--max-old-space-size=6000', join(library, 'dist/check-model.js'), ...process.argv.slice(2)];
const built = spawnSync(join(ROOT, 'node_modules/.bin/tsc'), ['-b', library], { stdio: 'inherit' });
process.exitCode = built.status || (spawnSync(runnable(), words, { stdio: 'inherit' }).status ?? 1);
