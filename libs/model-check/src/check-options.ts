/** Reads the command line of `npm run check:model`: with --help, or where it is wrong, the process ends here. */
import { parseArgs } from 'node:util';
import { BEGINNINGS } from './beginnings.ts';

const HELP = `npm run check:model -- [options]

  --depth N        faults and orders in a run at most (default 2)
  --states N       stop at so many distinct states, in each part (without a witness 500000, with a lease 450000, with a
                   gateway 100000)
  --grain G        coarse (default) or fine
  --writes N       1 (default) or 2 writes that may be lacking
  --settle N       follow every N-th state to its end when faults stop (default 20)
  --from NAME      only this beginning: ${BEGINNINGS.join(', ')}
  --trace-to FILE  write the run that breaks a law as a scenario
  --replay FILE    run a scenario again and print it
  --plant NAME     check with this planted fault; "all": every one must be caught; "list": their names`;

const OPTIONS = {
  depth: { type: 'string', default: '2' },
  states: { type: 'string' },
  grain: { type: 'string', default: 'coarse' },
  writes: { type: 'string', default: '1' },
  settle: { type: 'string', default: '20' },
  from: { type: 'string' },
  'trace-to': { type: 'string' },
  replay: { type: 'string' },
  plant: { type: 'string' },
  help: { type: 'boolean', default: false },
} as const;

function read() {
  try {
    return parseArgs({ options: OPTIONS }).values;
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n--help lists the options\n`);
    process.exit(2);
  }
}

/** What this run was told. */
export const values = read();

if (values.help) {
  console.log(HELP);
  process.exit(0);
}
