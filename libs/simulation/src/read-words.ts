/** Reads the options of `npm run simulate` and does nothing else: what is wrong with them is told before anything is built. */
import { CommanderError } from 'commander';
import { readOptions } from './simulate-options.ts';

try {
  readOptions(process.argv.slice(2), (text) => process.stdout.write(text));
} catch (error) {
  if (!(error instanceof CommanderError)) throw error;
  process.exitCode = error.exitCode === 0 ? 0 : 2;
}
