import { CliError, EXIT } from '../cli-error.ts';
import type { GlobalOptions } from '../client/connect.ts';

/** `node run`: runs this server until it is told to stop; resolves to the exit code. */
export async function run(_: GlobalOptions & { layout: 'separate' | 'composed' }): Promise<number> {
  throw new CliError(EXIT.refused, 'node run: not yet available.');
}

/** `node stop`. */
export async function stop(_: GlobalOptions): Promise<number> {
  throw new CliError(EXIT.refused, 'node stop: not yet available.');
}

/** `node status`. */
export async function status(_: GlobalOptions): Promise<number> {
  throw new CliError(EXIT.refused, 'node status: not yet available.');
}
