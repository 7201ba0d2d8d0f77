/** `npm run check:model`: explores the state machine of both servers. `-- --help` tells the options. */
import { runBuilt } from './run-built.mjs';

const nodeOptions = ['--max-old-space-size=6000'];
runBuilt({ project: 'libs/model-check', reader: 'check-options.ts', program: 'check-model.js', nodeOptions });
