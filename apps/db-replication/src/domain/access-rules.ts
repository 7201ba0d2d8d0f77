import { isIP } from 'node:net';
import { REPLICATION_ROLE } from '@understudy/platform';

/** pg_hba.conf and pg_ident.conf, and the configured rules that were left out because PostgreSQL would refuse the file. */
export interface AccessFiles {
  readonly hba: string;
  readonly ident: string;
  readonly refused: readonly { readonly rule: string; readonly reason: string }[];
}

const METHODS = new Set(
  'trust reject md5 password scram-sha-256 gss sspi ident peer pam ldap radius cert bsd oauth'.split(' '),
);
const OPTIONS = new Set(['map', 'clientcert', 'clientname', 'include_realm', 'compat_realm', 'upn_username']);
const CONNECTION_TYPES = new Set(['local', 'host', 'hostssl', 'hostnossl', 'hostgssenc', 'hostnogssenc']);

/**
 * Who may connect how. The socket is reachable for root and PostgreSQL's own user only, so it needs no password. Replication and
 * rewinding come from the pinned peer, by its certificate alone: the address is not looked at, because a name, a second interface
 * or address translation would break it without adding safety.
 *
 * @param peerName null when not paired, or when replication to the peer was retired: then nobody may replicate.
 */
export function renderAccessFiles(input: { peerName: string | null; accessRules: readonly string[] }): AccessFiles {
  const refused: { rule: string; reason: string }[] = [];
  const rules = input.accessRules.filter((rule) => {
    const reason = problemOf(rule);
    if (reason) refused.push({ rule, reason });
    return reason === null;
  });
  const peerRules = ['replication', 'postgres'].map(
    (database) => `hostssl ${database} ${REPLICATION_ROLE} all cert clientcert=verify-full map=understudy`,
  );
  const hba = [
    '# Written by Understudy; changes here are lost. Use database.accessRules in its configuration file.',
    'local all,replication all trust',
    ...(input.peerName ? peerRules : []),
    `host all,replication ${REPLICATION_ROLE} all reject`,
    ...rules,
  ];
  const ident = input.peerName ? [`understudy understudy-${input.peerName} ${REPLICATION_ROLE}`] : [];
  return { hba: `${hba.join('\n')}\n`, ident: `${['# Written by Understudy.', ...ident].join('\n')}\n`, refused };
}

/** Why PostgreSQL would not read a line of pg_hba.conf, null when it should. One unreadable line would keep it from starting. */
function problemOf(rule: string): string | null {
  if (/[\r\n\0]/.test(rule)) return 'it is more than one line';
  const fields = rule.trim().match(/"[^"]*"\S*|[^\s"]+/g) ?? [];
  const type = fields[0] ?? '';
  if (type.startsWith('#') || type === '') return 'it is empty';
  if (!CONNECTION_TYPES.has(type)) return `"${type}" is no type of connection`;
  if (type === 'local') return 'the local socket is open to root and the PostgreSQL user only, and needs no rule';
  // An address may be followed by a mask of its own.
  const methodAt = /^[\d.]+$|^[\da-f:]+$/i.test(fields[4] ?? '') && !METHODS.has(fields[4] ?? '') ? 5 : 4;
  const inAddress = problemOfAddress(fields[3] ?? '', methodAt === 5 ? (fields[4] ?? '') : null);
  if (inAddress !== null) return inAddress;
  const method = fields[methodAt];
  if (method === undefined) return 'it has no authentication method';
  if (!METHODS.has(method)) return `"${method}" is no authentication method`;
  if (method === 'cert' && type !== 'hostssl') return 'authentication by certificate needs hostssl';
  for (const option of fields.slice(methodAt + 1)) {
    const name = option.split('=', 1)[0] ?? '';
    if (!option.includes('=')) return 'an option is not name=value';
    if (!OPTIONS.has(name) && !/^(ldap|radius|pam|krb)/.test(name)) return `"${name}" is no option`;
  }
  return null;
}

/** Names of computers and words such as `samenet` are left to PostgreSQL: it takes any. */
function problemOfAddress(address: string, mask: string | null): string | null {
  const [ip = '', bits] = address.split('/', 2);
  const family = isIP(ip);
  const most = family === 6 ? 128 : 32;
  if (bits !== undefined)
    return family !== 0 && /^\d{1,3}$/.test(bits) && Number(bits) <= most
      ? null
      : `"${address}" is no network, such as 10.0.0.0/24`;
  if (!/^[\d.]+$|:/.test(address)) return null;
  if (family === 0) return `"${address}" is no address, such as 10.0.0.1`;
  if (mask === null) return `address ${address} has no mask, such as ${address}/${most}`;
  return isIP(mask) === family && isMask(mask) ? null : `"${mask}" is no mask, such as ${address}/${most}`;
}

/** Ones and then zeros, as PostgreSQL wants it. IPv6 masks are rare, and only their form is looked at. */
function isMask(mask: string): boolean {
  if (mask.includes(':')) return true;
  const bits = mask
    .split('.')
    .map((part) => Number(part).toString(2).padStart(8, '0'))
    .join('');
  return /^1*0*$/.test(bits);
}
