import type { StatusView } from '@understudy/contracts';
import { CliError, EXIT } from '../cli-error.ts';
import type { GlobalOptions } from '../client/connect.ts';
import { UntrustedError } from '../client/rest-client.ts';
import { haStatusLine, statusLines } from '../rendering/ha-status.ts';
import { say, sayJson } from '../rendering/output.ts';
import { withClient } from './with-client.ts';

/** `ha status`: one line, or the REST status with --json. */
export async function haStatus(options: GlobalOptions): Promise<void> {
  const status = await readStatus(options);
  if (options.json) sayJson(status);
  else say(haStatusLine(status));
}

/** `status`: a line for the Health Monitor, the database and each process. */
export async function status(options: GlobalOptions): Promise<void> {
  const read = await readStatus(options).catch((error: unknown) => {
    const isSilent =
      error instanceof CliError && error.exitCode === EXIT.unreachable && !(error instanceof UntrustedError);
    if (isSilent && !options.json) {
      say('Health Monitor Server is not running.');
      if (options.url === undefined)
        process.stderr.write(
          '"understudy node status" tells whether the server is started; starting takes some seconds.\n',
        );
    }
    throw error;
  });
  if (options.json) sayJson(read);
  else for (const line of statusLines(read)) say(line);
}

function readStatus(options: GlobalOptions): Promise<StatusView> {
  return withClient(options, (client) => client.get<StatusView>('/ha/status'));
}
