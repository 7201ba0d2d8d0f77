import { dirname, join } from 'node:path';
import { JsonLogger } from '@understudy/platform';
import { runAgent } from '../agent/agent.ts';
import { callAgent } from '../agent/call.ts';
import { CliError, EXIT } from '../cli-error.ts';
import { type GlobalOptions, ownConfigurationFile } from '../client/connect.ts';
import { reportHealth } from '../node-runner/index.ts';

/** How often the agent shows that it is there; whether the application does its work is for the health monitor to check. */
const ALIVE_MS = 2000;

/** `agent`: runs a command when it is called, until SIGTERM; resolves to the exit code. */
export async function agent(options: GlobalOptions & { name: string }, command: readonly string[]): Promise<number> {
  if (command.length === 0) throw new CliError(EXIT.usage, 'say which command to run, after "--"');
  const socket = socketOf(options.name, options);
  const endHealth = reportHealth(async () => true, ALIVE_MS);
  await runAgent({ socket, command }, told(), new JsonLogger(`agent ${options.name}`));
  endHealth();
  return EXIT.done;
}

/** `with-agent`: has an agent run its command, until that has ended or SIGTERM; resolves to the command's exit code. */
export function withAgent(name: string, options: GlobalOptions): Promise<number> {
  return callAgent(socketOf(name, options), process.env, told());
}

/** Beside the configuration that the run of the server has made, in a directory that the containers share. */
function socketOf(name: string, options: GlobalOptions): string {
  if (!/^[a-z0-9-]{1,32}$/.test(name))
    throw new CliError(
      EXIT.usage,
      `the name of an agent is made of 1 to 32 of the characters a-z, 0-9 and -, not "${name}"`,
    );
  return join(dirname(ownConfigurationFile(options)), 'agents', `${name}.sock`);
}

function told(): AbortSignal {
  const controller = new AbortController();
  process.on('SIGTERM', () => controller.abort());
  process.on('SIGINT', () => controller.abort());
  return controller.signal;
}
