import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Host } from './host.ts';

/** Times of the detection ladder, as the configuration file has them. */
export interface HeartbeatTimes {
  readonly intervalSeconds: number;
  readonly missedLimit: number;
  readonly graceSeconds: number;
  readonly probeTimeoutSeconds: number;
}

/** What a server of the stage is. */
export interface ServerDescription {
  readonly name: string;
  readonly role: 'primary' | 'secondary';
  readonly heartbeat: HeartbeatTimes;
  /** Further keys of the configuration file, by section. */
  readonly sections?: Readonly<Record<string, unknown>>;
}

/** The authentication key with which the secondaries of the stage are installed. */
export const AUTHENTICATION_KEY = 'Correct-Horse-7-Battery';

/** The `database` section of the stage: open to its hosts, and small. */
export const DATABASE_SECTION = {
  accessRules: ['host all all 10.77.0.0/24 trust', 'host all all 127.0.0.1/32 trust'],
  parameters: { shared_buffers: '32MB', max_connections: '80' },
} as const;

/** Where a server of the stage keeps its things. */
export function dataDirectoryOf(host: Host, description: ServerDescription): string {
  return join(host.directory, description.name);
}

/** Where a server's configuration file lies. */
export function configurationFileOf(host: Host, description: ServerDescription): string {
  return join(host.directory, 'etc', `${description.name}.yaml`);
}

/** Writes a server's configuration file, and the key of a secondary, and returns the file's path. `node`: other values of that section. */
export function writeConfiguration(host: Host, description: ServerDescription, node: object = {}): string {
  const directory = join(host.directory, 'etc');
  mkdirSync(directory, { recursive: true });
  const keyFile = join(directory, 'authentication.key');
  writeFileSync(keyFile, `${AUTHENTICATION_KEY}\n`, { mode: 0o600 });
  const configuration = {
    node: {
      name: description.name,
      role: description.role,
      address: host.address,
      dataDirectory: dataDirectoryOf(host, description),
      ...(description.role === 'secondary' ? { authenticationKeyFile: keyFile } : {}),
      ...node,
    },
    heartbeat: description.heartbeat,
    failover: { minimumSecondsBetween: 0 },
    database: DATABASE_SECTION,
    ...description.sections,
  };
  const file = configurationFileOf(host, description);
  writeFileSync(file, JSON.stringify(configuration, null, 2)); // JSON is YAML
  return file;
}
