import type { StatusView } from '@understudy/contracts';
import { CliError, EXIT } from '../cli-error.ts';
import { ask } from '../client/ask.ts';
import type { GlobalOptions } from '../client/connect.ts';
import { waitForOperation } from '../client/operation.ts';
import { RefusedError, type RestClient } from '../client/rest-client.ts';
import { haStatusLine } from '../rendering/ha-status.ts';
import { progressPrinter, say, sayJson } from '../rendering/output.ts';
import { withClient } from './with-client.ts';

/** What every action of an operator takes. `wait` false: --no-wait. */
export interface ActionOptions extends GlobalOptions {
  readonly yes?: boolean;
  readonly wait?: boolean;
  /** The name of the peer, where the operator answers for it. */
  readonly confirm?: string;
}

/** One action: what is asked of the operator first, and what is sent. */
export interface Action {
  readonly method: 'POST' | 'PUT' | 'DELETE';
  readonly path: string;
  /** As the status names it. */
  readonly name?: string;
  /** What happens, for the question; absent: nothing is asked. */
  readonly consequence?: (status: StatusView) => string;
  /** Whether the operator answers for the peer, by its name: --yes is not enough. */
  readonly needsName?: (status: StatusView) => boolean;
  /** Waits for what the action needs first, such as a server that is still starting. */
  readonly before?: (client: RestClient) => Promise<void>;
  /** The body. `confirm`: the name of the peer, when the operator gave it. */
  readonly body: (status: StatusView, confirm?: string) => unknown;
}

/** Asks for confirmation, starts the work, shows its progress, and says how it ended. */
export function performAction(options: ActionOptions, action: Action): Promise<void> {
  return withClient(options, async (client) => {
    const before = await client.get<StatusView>('/ha/status');
    const needsName = action.needsName?.(before) ?? false;
    let { confirm } = options;
    if (action.consequence && (needsName ? confirm === undefined : !options.yes)) {
      const refused = before.unavailableActions.find(({ action: name }) => name === action.name);
      // nobody needs to confirm what is not possible
      if (refused !== undefined) throw new CliError(EXIT.refused, `${before.node.name}: ${refused.reason}`);
      const consequence = action.consequence(before);
      if (needsName) confirm = await askForName(before, consequence);
      else await askToGoOn(before, consequence);
    }
    const body = action.body(before, confirm);
    await action.before?.(client);
    const { operationId } = await client
      .ask<{ operationId: string }>(action.method, action.path, body)
      .catch((error: unknown) => {
        throw saidBy(before.node.name, error);
      });
    if (options.wait === false) {
      if (options.json) sayJson({ operationId });
      else say(`Started: operation ${operationId}`);
      return;
    }
    await follow(client, operationId, options);
  });
}

/** A refusal is about the state of one server: which one, when both have a terminal open. */
function saidBy(server: string, error: unknown): unknown {
  if (!(error instanceof RefusedError) || error.status !== 409) return error;
  return new RefusedError(`${server}: ${error.message}`, error.status, error.code);
}

async function follow(client: RestClient, operationId: string, options: ActionOptions): Promise<void> {
  const progress = progressPrinter();
  const onInterrupt = () => {
    progress.end();
    process.stderr.write(`The work goes on without this command: operation ${operationId}\n`);
    process.exit(EXIT.refused);
  };
  process.once('SIGINT', onInterrupt);
  try {
    const operation = await waitForOperation(client, operationId, (seen) => progress.show(seen));
    progress.end();
    if (options.json) sayJson(operation);
    else say(haStatusLine(await client.get<StatusView>('/ha/status')));
  } catch (error) {
    progress.end();
    throw error;
  } finally {
    process.off('SIGINT', onInterrupt);
  }
}

async function askToGoOn(status: StatusView, consequence: string): Promise<void> {
  requireTerminal(consequence, '--yes');
  showSituation(status);
  const answer = await ask(`${consequence} Continue? [y/N] `);
  if (!/^y(es)?$/i.test(answer)) throw new CliError(EXIT.refused, 'Nothing was changed.');
}

async function askForName(status: StatusView, consequence: string): Promise<string> {
  requireTerminal(consequence, `--confirm ${status.peer?.name ?? 'NAME'}`);
  showSituation(status);
  return ask(`${consequence} Type the name of the other server to go on: `);
}

function requireTerminal(consequence: string, option: string): void {
  if (!process.stdin.isTTY) throw new CliError(EXIT.usage, `${consequence} Confirm with ${option}.`);
}

/** Spec: "Automatic Versus Manual Failover": the operator sees both states and the link before deciding. */
function showSituation(status: StatusView): void {
  const { peer } = status;
  process.stderr.write(`${haStatusLine(status)}\n`);
  if (peer) {
    const link = peer.reachable ? 'reachable' : 'not reachable';
    process.stderr.write(`${peer.name}(${peer.address}) ${peer.state ?? 'state unknown'}, ${link}\n`);
  }
}
