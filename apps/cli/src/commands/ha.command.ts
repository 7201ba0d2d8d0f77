import type { StatusView } from '@understudy/contracts';
import { CliError, EXIT } from '../cli-error.ts';
import { type GlobalOptions, readGiven } from '../client/connect.ts';
import { waitUntilStarted } from '../client/wait-until-started.ts';
import { say, sayJson } from '../rendering/output.ts';
import { type ActionOptions, performAction } from './operator-action.ts';
import { withClient } from './with-client.ts';

/** Options of `ha register`. */
export interface RegisterOptions extends ActionOptions {
  readonly secondary: string;
  readonly authenticationKeyFile: string;
  readonly failoverType: 'manual' | 'automatic' | 'observe';
  readonly email?: string;
  readonly virtualIp?: string;
  readonly virtualIp6?: string;
  readonly replacePrimary?: boolean;
}

/** No server starts with a shorter one. */
const KEY_LENGTH_MIN = 8;

/** `ha register`: registers the pair, on the primary; or takes the place of the lost primary of an active secondary. */
export async function register(options: RegisterOptions): Promise<void> {
  const authenticationKey = readGiven(options.authenticationKeyFile, '--authentication-key-file').trim();
  if (authenticationKey === '') {
    throw new CliError(EXIT.usage, `--authentication-key-file ${options.authenticationKeyFile} is empty.`);
  }
  if (authenticationKey.length < KEY_LENGTH_MIN) {
    const found = `the key in it has ${authenticationKey.length} characters, that of a server at least ${KEY_LENGTH_MIN}`;
    throw new CliError(EXIT.usage, `--authentication-key-file ${options.authenticationKeyFile}: ${found}.`);
  }
  const { virtualIp: ipv4, virtualIp6: ipv6 } = options;
  await performAction(options, {
    method: 'PUT',
    path: '/ha/configuration',
    ...(options.replacePrimary
      ? {
          consequence: ({ node }: StatusView) =>
            `The database of ${node.name} is replaced by that of the secondary at ${options.secondary}, and its application is stopped. What is here now is kept beside it (postgresql.kept-<time>) and served no more.`,
        }
      : {}),
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
      ...(options.replacePrimary ? { replacePrimary: true, confirmed: true } : {}),
      ...(ipv4 || ipv6 ? { virtualIp: { ...(ipv4 ? { ipv4 } : {}), ...(ipv6 ? { ipv6 } : {}) } } : {}),
    }),
  });
}

/** `ha failover`: the secondary takes over from a primary that failed or is lost. */
export function failover(options: ActionOptions & { acceptDataLoss?: boolean }): Promise<void> {
  return performAction(options, {
    method: 'POST',
    path: '/ha/failover',
    name: 'failover',
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
    name: 'forced-failover',
    consequence: ({ node, peer }) => `${peer?.name ?? 'The primary'} hands over to ${node.name}.`,
    body: () => ({}),
  });
}

/** `ha failback`: the primary takes its role again. */
export function failback(options: ActionOptions & { force?: boolean; acceptDataLoss?: boolean }): Promise<void> {
  return performAction(options, {
    method: 'POST',
    path: '/ha/failback',
    name: options.force ? 'forced-failback' : 'failback',
    consequence: ({ node, peer }) => `${node.name} hands back to ${peer?.name ?? 'the primary'}.`,
    body: () => ({ force: options.force ?? false, acceptDataLoss: options.acceptDataLoss ?? false }),
  });
}

/** `ha activate-alone`: the operator's word that the peer is down and stays down. */
export function activateAlone(options: ActionOptions & { acceptDataLoss?: boolean }): Promise<void> {
  return performAction(options, {
    method: 'POST',
    path: '/ha/activate-alone',
    name: 'activate-alone',
    needsName: () => true,
    consequence: ({ node, peer }) =>
      `${node.name} takes over alone. ${peer?.name} must be down and stay down, or both write.`,
    body: (_, confirm) => ({ confirm, acceptDataLoss: options.acceptDataLoss ?? false }),
  });
}

/** `ha remove`: removes HA from both servers. A peer that cannot be reached is not told, and its name is asked for: it may serve. */
export function remove(options: ActionOptions & { acceptDataLoss?: boolean }): Promise<void> {
  return performAction(options, {
    method: 'DELETE',
    path: '/ha/configuration',
    name: 'remove',
    needsName: ({ peer }) => peer?.reachable === false,
    consequence: removalConsequence,
    body: (_, confirm) => ({
      acceptDataLoss: options.acceptDataLoss ?? false,
      ...(confirm === undefined ? {} : { confirm }),
    }),
  });
}

function removalConsequence({ node, peer, failoverType }: StatusView): string {
  if (node.homeRole === 'secondary')
    return `HA is removed on ${node.name} only, which waits to be registered anew. ${peer?.name} is not told: remove HA there as well.`;
  if (peer?.reachable !== false)
    return `HA is removed; ${peer ? `${peer.name} no longer protects this server` : 'there is no peer'}.`;
  const mayServe = failoverType === 'automatic' ? 'may serve, or take over by itself' : 'may serve';
  return `HA is removed and ${node.name} serves alone. ${peer.name} cannot be reached and is not told: it ${mayServe}, and then both servers serve. First stop ${peer.name} so that it stays down, or remove HA there.`;
}

/** `ha failover-type`: who decides about a takeover, changed in place; on the primary. */
export function changeFailoverType(options: GlobalOptions, failoverType: string): Promise<void> {
  return withClient(options, async (client) => {
    const configuration = await client.ask<unknown>('PATCH', '/ha/configuration', { failoverType });
    if (options.json) sayJson(configuration);
    else say(`The failover type is ${failoverType} now.`);
  });
}

/** `ha virtual-ip`: other addresses of the pair, changed in place; on the primary. */
export function changeVirtualIp(
  options: GlobalOptions & { virtualIp?: string; virtualIp6?: string; none?: boolean },
): Promise<void> {
  const { virtualIp: ipv4, virtualIp6: ipv6, none = false } = options;
  const addresses = [ipv4, ipv6].filter((address) => address !== undefined);
  if (none === addresses.length > 0)
    throw new CliError(
      EXIT.usage,
      'Give all addresses that the pair shall have: --virtual-ip, --virtual-ip6; or --none.',
    );
  return withClient(options, async (client) => {
    const body = { virtualIp: none ? null : { ipv4, ipv6 } };
    const configuration = await client.ask<unknown>('PATCH', '/ha/configuration', body);
    if (options.json) sayJson(configuration);
    else say(none ? 'The pair has no virtual IP any more.' : `The virtual IP is ${addresses.join(' and ')} now.`);
  });
}

/** `ha authkey`: another authentication key, on both servers or on neither. */
export function changeAuthenticationKey(
  options: GlobalOptions & { readonly newKeyFile?: string },
  newKey: string | undefined,
): Promise<void> {
  const { newKeyFile } = options;
  if ((newKey === undefined) === (newKeyFile === undefined))
    throw new CliError(EXIT.usage, 'Give the new key, or --new-key-file with a file that holds it: one of the two.');
  const newAuthenticationKey = newKeyFile === undefined ? newKey : readGiven(newKeyFile, '--new-key-file').trim();
  return withClient(options, async (client) => {
    const path = '/ha/authentication-key';
    const answer = await client.ask<{ servers: readonly string[] }>('PUT', path, { newAuthenticationKey });
    if (options.json) sayJson(answer);
    else say(`The authentication key is changed on ${answer.servers.join(' and ')}. Sessions have ended.`);
  });
}

/** `ha cancel`: the running operation, while it is before its point of no return. */
export function cancel(options: GlobalOptions): Promise<void> {
  return withClient(options, async (client) => {
    const { operation } = await client.get<StatusView>('/ha/status');
    if (!operation) throw new CliError(EXIT.refused, 'No operation is running on this server.');
    const answer = await client.ask<unknown>('POST', `/operations/${encodeURIComponent(operation.id)}/cancel`, {});
    if (options.json) sayJson(answer);
    else say(`Cancelled: ${operation.kind}`);
  });
}

/** `ha maintenance start`: planned work; no automatic failover until it ends. */
export function startMaintenance(options: GlobalOptions & { minutes: string; reason: string }): Promise<void> {
  return withClient(options, async (client) => {
    const minutes = Number(options.minutes);
    if (!Number.isFinite(minutes)) throw new CliError(EXIT.usage, `--minutes ${options.minutes} is not a number.`);
    const body = { minutes, reason: options.reason };
    const answer = await client.ask<{ maintenance: { until: string } }>('POST', '/ha/maintenance', body);
    if (options.json) sayJson(answer);
    else say(`Maintenance until ${answer.maintenance.until}: no automatic failover. End it with: ha maintenance end`);
  });
}

/** `ha maintenance end`: before its time. */
export function endMaintenance(options: GlobalOptions): Promise<void> {
  return withClient(options, async (client) => {
    const answer = await client.ask<unknown>('DELETE', '/ha/maintenance', undefined);
    if (options.json) sayJson(answer);
    else say('Maintenance has ended.');
  });
}
