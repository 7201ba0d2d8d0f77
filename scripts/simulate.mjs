/** `npm run simulate`: pairs on a virtual clock with random faults. `-- --help` tells the options. */
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { ROOT, runnable } from './bootstrap.mjs';

const library = join(ROOT, 'libs/simulation');
const words = [join(library, 'dist/simulate-main.js'), ...process.argv.slice(2)];
const built = spawnSync(join(ROOT, 'node_modules/.bin/tsc'), ['-b', library], { stdio: 'inherit' });
process.exitCode = built.status || (spawnSync(runnable(), words, { stdio: 'inherit' }).status ?? 1);
