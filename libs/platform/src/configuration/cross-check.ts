import type { ConfigurationFile } from './configuration.schema.ts';
import { shortestLeaseSeconds } from './witness-timing.ts';

const VIRTUAL_IP_LEASE_SECONDS = 3;

/** One thing wrong with a value, wherever it came from. */
export interface Finding {
  readonly path: readonly PropertyKey[];
  readonly message: string;
  readonly remedy: string;
}

/** Lists in which each entry is looked at for itself. */
export type Listed = 'fileSets' | 'processes';

/** The sections that are well-formed by themselves; of the entries of a list the keys that are. */
export type SoundSections = {
  readonly [Section in Exclude<keyof ConfigurationFile, Listed>]?: ConfigurationFile[Section] | undefined;
} & { readonly [Section in Listed]?: readonly Partial<ConfigurationFile[Section][number]>[] | undefined };

/** What no single value shows: values that do not go together. Looks at what is sound, so that every mistake is told at once. */
export function crossCheck(sound: SoundSections): Finding[] {
  return [
    ...duplicatedPorts(sound),
    ...duplicates('processes', 'name', sound.processes),
    ...duplicates('processes', 'unit', enabledOf(sound)),
    ...duplicates('processes', 'container', enabledOf(sound)),
    ...duplicates('fileSets', 'name', sound.fileSets),
    ...nestedFileSets(sound),
    ...missingAuthenticationKey(sound),
    ...storageLimits(sound),
    ...shortLease(sound),
    ...leaseOfVirtualIp(sound),
  ];
}

function duplicatedPorts({ ports = {} as never }: SoundSections): Finding[] {
  const findings: Finding[] = [];
  const owners = new Map<number, string>();
  for (const [name, port] of Object.entries(ports)) {
    const owner = owners.get(port);
    if (owner === undefined) owners.set(port, name);
    else
      findings.push({
        path: ['ports', name],
        message: `is ${port}, the same as ports.${owner}`,
        remedy: 'Give each its own port.',
      });
  }
  return findings;
}

/** Of two processes that are one unit, or one container, each would end what the other has started. */
function enabledOf({ processes }: SoundSections): SoundSections['processes'] {
  return processes?.map((process) => (process.enabled === false ? {} : process));
}

function duplicates<Key extends string>(
  section: Listed,
  key: Key,
  entries: readonly { readonly [name in Key]?: string | undefined }[] = [],
): Finding[] {
  return entries.flatMap(({ [key]: value }, index) =>
    value === undefined || entries.findIndex((other) => other[key] === value) === index
      ? []
      : [
          {
            path: [section, index, key],
            message: `is ${JSON.stringify(value)} a second time`,
            remedy: `Give each its own ${key}.`,
          },
        ],
  );
}

/** A file that is in two sets, or is this server's own (its identity, its database), must not be copied over the peer's. */
function nestedFileSets({ fileSets = [], node, database }: SoundSections): Finding[] {
  const own = Object.entries({
    'node.dataDirectory': node?.dataDirectory,
    'database.dataDirectory': database?.dataDirectory,
  });
  return fileSets.flatMap(({ path }, index) => {
    if (path === undefined) return [];
    const others = fileSets.slice(0, index).map((other, at) => [`fileSets.${at}.path`, other.path] as const);
    const clash = [...own, ...others].find(([, other]) => other !== undefined && isNested(path, other));
    if (clash === undefined) return [];
    const [key, other] = clash;
    return [
      {
        path: ['fileSets', index, 'path'],
        message: `is ${JSON.stringify(path)}, and lies in, or holds, ${key} ${JSON.stringify(other)}`,
        remedy: 'Set it to a directory that has nothing in common with the other.',
      },
    ];
  });
}

/** Whether one of two absolute paths is the other, or lies in it. */
export function isNested(a: string, b: string): boolean {
  const [one, two] = [a, b].map((path) => `${path.replace(/\/+$/, '')}/`) as [string, string];
  return one.startsWith(two) || two.startsWith(one);
}

function missingAuthenticationKey({ node }: SoundSections): Finding[] {
  if (node?.role !== 'secondary' || node.authenticationKeyFile !== undefined) return [];
  return [
    {
      path: ['node', 'authenticationKeyFile'],
      message: 'is missing, and a secondary needs it',
      remedy: 'Set it to the absolute path of the file with the authentication key.',
    },
  ];
}

/** A server whose witness is away serves by the answers of its peer: they must come before its right to serve ends. */
function shortLease({ witness, heartbeat }: SoundSections): Finding[] {
  if (witness?.kind !== 'nats' || heartbeat === undefined) return [];
  const shortest = shortestLeaseSeconds(heartbeat.intervalSeconds);
  if (witness.leaseSeconds >= shortest) return [];
  return [
    {
      path: ['witness', 'leaseSeconds'],
      message: `is ${witness.leaseSeconds}, too short for heartbeat.intervalSeconds ${heartbeat.intervalSeconds}: a server would close itself between two beats while the witness is away`,
      remedy: `Set it to ${shortest} or more, or shorten the interval.`,
    },
  ];
}

/** The kernel keeps an address for whole seconds and may be late: both must fit into what is left of a lease before it is renewed. */
function leaseOfVirtualIp({ witness, virtualIp }: SoundSections): Finding[] {
  if (witness?.kind !== 'nats' || virtualIp === undefined || witness.leaseSeconds >= VIRTUAL_IP_LEASE_SECONDS)
    return [];
  return [
    {
      path: ['witness', 'leaseSeconds'],
      message: `is ${witness.leaseSeconds}, too short for virtualIp: no address could be held that ends with the lease`,
      remedy: `Set it to ${VIRTUAL_IP_LEASE_SECONDS} or more.`,
    },
  ];
}

function storageLimits({ storage }: SoundSections): Finding[] {
  if (storage === undefined || storage.criticalPercent >= storage.warnPercent) return [];
  return [
    {
      path: ['storage', 'criticalPercent'],
      message: `is ${storage.criticalPercent}, below storage.warnPercent ${storage.warnPercent}`,
      remedy: 'Set it to storage.warnPercent or more.',
    },
  ];
}
