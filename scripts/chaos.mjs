/** `npm run chaos`: real faults on a real pair. `-- --help` tells the options. */
import { runBuilt } from './run-built.mjs';

runBuilt({ project: 'apps/ha-e2e', reader: 'chaos/settings-or-exit.ts', program: 'chaos/chaos.js' });
