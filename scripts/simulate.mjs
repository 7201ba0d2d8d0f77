/** `npm run simulate`: pairs on a virtual clock with random faults. `-- --help` tells the options. */
import { runBuilt } from './run-built.mjs';

runBuilt({ project: 'libs/simulation', reader: 'read-words.ts', program: 'simulate-main.js' });
