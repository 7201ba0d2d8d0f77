import { createHmac } from 'node:crypto';
import { hostForUrl } from '@understudy/platform';

/** What the bus's configuration depends on. */
export interface BusSettings {
  readonly serverName: string;
  readonly listen: string;
  readonly port: number;
  readonly user: string;
  readonly password: string;
  readonly systemPassword: string;
  /** The pair link, null when not paired. */
  readonly pairLink: PairLinkSettings | null;
}

/** The leaf node link to the peer: mutual TLS with the pinned certificate as the only authority. */
export interface PairLinkSettings {
  readonly listen: string;
  readonly port: number;
  readonly certificateFile: string;
  readonly keyFile: string;
  readonly peerCertificateFile: string;
  readonly pairId: string;
  /** The secondary dials the primary; null on the primary. */
  readonly dial: { readonly address: string; readonly port: number } | null;
}

/**
 * Configuration of this server's NATS. Short pings and a short write deadline: with NATS's defaults a cut link delivers messages half a
 * minute old after it has healed. Only `pair.>` and answers to requests may cross the link.
 */
export function natsConfiguration(settings: BusSettings): string {
  const { serverName, listen, port, user, password, systemPassword, pairLink } = settings;
  const leafPassword =
    pairLink === null ? null : createHmac('sha256', pairLink.pairId).update('pair link').digest('hex');
  const crossing = '{ allow: ["pair.>", "_INBOX.>"] }';
  const users = [`{ user: ${quote(user)}, password: ${quote(password)} }`];
  if (leafPassword !== null) {
    users.push(
      `{ user: "leaf", password: ${quote(leafPassword)}, permissions: { publish: ${crossing}, subscribe: ${crossing} } }`,
    );
  }
  return [
    `server_name: ${quote(serverName)}`,
    `listen: ${quote(`${hostForUrl(listen)}:${port}`)}`,
    'ping_interval: "1s"',
    'ping_max: 2',
    'write_deadline: "1s"',
    'max_pending: 4MB',
    'max_payload: 1MB',
    `accounts { APP { users: [ ${users.join(', ')} ] }, SYS { users: [ { user: "system", password: ${quote(systemPassword)} } ] } }`,
    'system_account: SYS',
    ...(pairLink === null || leafPassword === null ? [] : leafNodes(pairLink, leafPassword)),
    '',
  ].join('\n');
}

function leafNodes(link: PairLinkSettings, password: string): string[] {
  const tls = `cert_file: ${quote(link.certificateFile)}, key_file: ${quote(link.keyFile)}, ca_file: ${quote(link.peerCertificateFile)}`;
  const listener = [
    `  listen: ${quote(`${hostForUrl(link.listen)}:${link.port}`)}`,
    '  no_advertise: true',
    '  reconnect: 1',
    `  tls { ${tls}, verify: true, timeout: 2 }`,
  ];
  if (link.dial === null) return ['leafnodes {', ...listener, '}'];
  const url = `tls://leaf:${password}@${hostForUrl(link.dial.address)}:${link.dial.port}`;
  return [
    'leafnodes {',
    ...listener,
    `  remotes: [ { url: ${quote(url)}, account: APP, tls { ${tls}, timeout: 2 } } ]`,
    '}',
  ];
}

/** Configuration of this server's Redis: every write synced before it is answered, nothing replicated. */
export function redisConfiguration(settings: {
  listen: string;
  port: number;
  password: string;
  directory: string;
}): string {
  return [
    `bind ${settings.listen}`,
    `port ${settings.port}`,
    `requirepass ${settings.password}`,
    `dir ${JSON.stringify(settings.directory)}`,
    'protected-mode yes',
    'daemonize no',
    'appendonly yes',
    'appendfsync always',
    'save ""',
    'timeout 0',
    'tcp-keepalive 30',
    'hz 5',
    '',
  ].join('\n');
}

function quote(text: string): string {
  return JSON.stringify(text);
}
