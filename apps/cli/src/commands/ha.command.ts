import type { StatusView } from '@understudy/contracts';
import { CliError, EXIT } from '../cli-error.ts';
import { ask } from '../client/ask.ts';
import { readGiven } from '../client/connect.ts';
import { waitUntilStarted } from '../client/wait-until-started.ts';
import { type ActionOptions, performAction } from './operator-action.ts';

/** Options of `ha register`. */
export interface RegisterOptions extends ActionOptions {
  readonly secondary: string;
  readonly authenticationKeyFile: string;
  readonly failoverType: 'manual' | 'automatic';
  readonly email?: string;
  readonly virtualIp?: string;
  readonly virtualIp6?: string;
}

/** `ha register`: registers the pair, on the primary. */
export async function register(options: RegisterOptions): Promise<void> {
  const authenticationKey = readGiven(options.authenticationKeyFile, '--authentication-key-file').trim();
  if (authenticationKey === '') {
    throw new CliError(EXIT.usage, `--authentication-key-file ${options.authenticationKeyFile} is empty.`);
  }
  const { virtualIp: ipv4, virtualIp6: ipv6 } = options;
  await performAction(options, {
    method: 'PUT',
    path: '/ha/configuration',
    before: async (client) => {
      if (options.wait !== false) await waitUntilStarted(client, (line) => process.stderr.write(`${line}\n`));
    },
    body: () => ({
      secondaryAddress: options.secondary,
      authenticationKey,
      failoverType: options.failoverType,
      emailAddresses: (options.email ?? '')
        .split(',')
        .map((entry) => entry.trim())
        .filter(Boolean),
      ...(ipv4 || ipv6 ? { virtualIp: { ...(ipv4 ? { ipv4 } : {}), ...(ipv6 ? { ipv6 } : {}) } } : {}),
    }),
  });
}

/** `ha failover`: the secondary takes over from a primary that failed or is lost. */
export function failover(options: ActionOptions & { acceptDataLoss?: boolean }): Promise<void> {
  return performAction(options, {
    method: 'POST',
    path: '/ha/failover',
    consequence: ({ node, peer }) =>
      peer && !peer.reachable
        ? `${node.name} takes over. ${peer.name} does not answer: if it still runs, both are active until it is heard again.`
        : `${node.name} takes over.`,
    body: () => ({ acceptDataLoss: options.acceptDataLoss ?? false }),
  });
}

/** `ha force-failover`: a healthy primary hands over, without loss. */
export function forceFailover(options: ActionOptions): Promise<void> {
  return performAction(options, {
    method: 'POST',
    path: '/ha/forced-failover',
    consequence: ({ node, peer }) => `${peer?.name ?? 'The primary'} hands over to ${node.name}.`,
    body: () => ({}),
  });
}

/** `ha failback`: the primary takes its role again. */
export function failback(options: ActionOptions & { force?: boolean; acceptDataLoss?: boolean }): Promise<void> {
  return performAction(options, {
    method: 'POST',
    path: '/ha/failback',
    consequence: ({ node, peer }) => `${node.name} hands back to ${peer?.name ?? 'the primary'}.`,
    body: () => ({ force: options.force ?? false, acceptDataLoss: options.acceptDataLoss ?? false }),
  });
}

/** `ha activate-alone`: the operator's word that the peer is down and stays down. */
export function activateAlone(options: ActionOptions & { confirm?: string; acceptDataLoss?: boolean }): Promise<void> {
  return performAction(options, {
    method: 'POST',
    path: '/ha/activate-alone',
    body: async ({ peer }) => ({
      confirm: await confirmedPeer(options, peer),
      acceptDataLoss: options.acceptDataLoss ?? false,
    }),
  });
}

/** `ha remove`: removes HA. */
export function remove(options: ActionOptions): Promise<void> {
  return performAction(options, {
    method: 'DELETE',
    path: '/ha/configuration',
    consequence: ({ peer }) =>
      `HA is removed; ${peer ? `${peer.name} no longer protects this server` : 'there is no peer'}.`,
    body: () => undefined,
  });
}

async function confirmedPeer(
  { confirm, yes }: ActionOptions & { confirm?: string },
  peer: StatusView['peer'],
): Promise<string> {
  if (!peer) throw new CliError(EXIT.refused, 'HA is not configured: there is no peer.');
  if (confirm !== undefined) return confirm;
  if (yes) return peer.name;
  const consequence = `This server takes over alone. ${peer.name} must be down and stay down, or both write.`;
  if (!process.stdin.isTTY)
    throw new CliError(EXIT.usage, `${consequence} Confirm with --yes or --confirm ${peer.name}.`);
  return ask(`${consequence} Type its name to go on: `);
}
