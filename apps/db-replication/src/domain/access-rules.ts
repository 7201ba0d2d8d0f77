import { REPLICATION_ROLE } from './connection-string.ts';

/** pg_hba.conf and pg_ident.conf, and the configured rules that were left out because PostgreSQL would refuse the file. */
export interface AccessFiles {
  readonly hba: string;
  readonly ident: string;
  readonly refused: readonly { readonly rule: string; readonly reason: string }[];
}

const METHODS = new Set(
  'trust reject md5 password scram-sha-256 gss sspi ident peer pam ldap radius cert bsd oauth'.split(' '),
);
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
  const address = fields[3] ?? '';
  if (/^[\d.]+$/.test(address) && methodAt === 4) return `address ${address} has no mask, such as ${address}/32`;
  const method = fields[methodAt];
  if (method === undefined) return 'it has no authentication method';
  if (!METHODS.has(method)) return `"${method}" is no authentication method`;
  if (method === 'cert' && type !== 'hostssl') return 'authentication by certificate needs hostssl';
  if (fields.slice(methodAt + 1).some((option) => !option.includes('='))) return 'an option is not name=value';
  return null;
}
