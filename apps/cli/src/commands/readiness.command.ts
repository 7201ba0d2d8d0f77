import type { ReadinessReport } from '@understudy/contracts';
import { CliError, EXIT } from '../cli-error.ts';
import { type GlobalOptions, readGiven } from '../client/connect.ts';
import { waitForOperation } from '../client/operation.ts';
import { progressPrinter, say, sayJson } from '../rendering/output.ts';
import { readinessLines } from '../rendering/readiness.ts';
import { withClient } from './with-client.ts';

/** Options of `ha check-readiness`. */
export interface ReadinessOptions extends GlobalOptions {
  readonly secondary?: string;
  readonly authenticationKeyFile?: string;
  readonly fix?: boolean;
}

/** `ha check-readiness`: runs the checklist on both servers and prints it. What it finds is no failure of the command. */
export async function checkReadiness(options: ReadinessOptions): Promise<void> {
  const { secondary: secondaryAddress, authenticationKeyFile, fix = false } = options;
  if ((secondaryAddress === undefined) !== (authenticationKeyFile === undefined))
    throw new CliError(EXIT.usage, '--secondary and --authentication-key-file are needed together.');
  const candidate =
    authenticationKeyFile === undefined
      ? {}
      : { secondaryAddress, authenticationKey: readGiven(authenticationKeyFile, '--authentication-key-file').trim() };
  await withClient(options, async (client) => {
    const { operationId } = await client.ask<{ operationId: string }>('POST', '/ha/readiness-checks', {
      ...candidate,
      ...(fix ? { fix } : {}),
    });
    const progress = progressPrinter();
    try {
      await waitForOperation(client, operationId, (seen) => progress.show(seen));
    } finally {
      progress.end();
    }
    const report = await client.get<ReadinessReport>('/ha/readiness-checks/latest');
    if (options.json) sayJson(report);
    else for (const line of readinessLines(report)) say(line);
  });
}
