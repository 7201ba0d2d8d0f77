/** Reads the command line of `npm run chaos`: with --help, or where it is wrong, the process ends here. */
import { type ChaosSettings, HELP, readSettings, UsageError } from './settings.ts';

/** Ends the process: wrong usage or machine. */
export function fail(message: string): never {
  process.stderr.write(`chaos: ${message}\n`);
  process.exit(2);
}

function settingsOrExit(): ChaosSettings {
  try {
    const settings = readSettings(process.argv.slice(2));
    if (settings) return settings;
    process.stdout.write(HELP);
    process.exit(0);
  } catch (error) {
    if (error instanceof UsageError) fail(error.message);
    throw error;
  }
}

/** What this run was told. */
export const settings: ChaosSettings = settingsOrExit();
