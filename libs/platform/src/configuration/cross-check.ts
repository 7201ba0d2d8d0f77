import type { ConfigurationFile } from './configuration.schema.ts';

/** One thing wrong with a value, wherever it came from. */
export interface Finding {
  readonly path: readonly PropertyKey[];
  readonly message: string;
  readonly remedy: string;
}

/** What no single value shows: values that do not go together. */
export function crossCheck(file: ConfigurationFile): Finding[] {
  return [
    ...duplicatedPorts(file),
    ...duplicatedNames('processes', file.processes),
    ...duplicatedNames('fileSets', file.fileSets),
    ...missingAuthenticationKey(file),
    ...storageLimits(file),
  ];
}

function duplicatedPorts({ ports }: ConfigurationFile): Finding[] {
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

function duplicatedNames(section: string, entries: readonly { readonly name: string }[]): Finding[] {
  return entries.flatMap(({ name }, index) =>
    entries.findIndex((other) => other.name === name) === index
      ? []
      : [
          {
            path: [section, index, 'name'],
            message: `is ${JSON.stringify(name)} a second time`,
            remedy: 'Give each its own name.',
          },
        ],
  );
}

function missingAuthenticationKey({ node }: ConfigurationFile): Finding[] {
  if (node.role !== 'secondary' || node.authenticationKeyFile !== undefined) return [];
  return [
    {
      path: ['node', 'authenticationKeyFile'],
      message: 'is missing, and a secondary needs it',
      remedy: 'Set it to the absolute path of the file with the authentication key.',
    },
  ];
}

function storageLimits({ storage }: ConfigurationFile): Finding[] {
  if (storage.criticalPercent >= storage.warnPercent) return [];
  return [
    {
      path: ['storage', 'criticalPercent'],
      message: `is ${storage.criticalPercent}, below storage.warnPercent ${storage.warnPercent}`,
      remedy: 'Set it to storage.warnPercent or more.',
    },
  ];
}
