import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { CliError, EXIT } from '../cli-error.ts';

/** What is needed to speak with the server of a configuration file. */
export interface ServerPlace {
  readonly name: string;
  readonly address: string;
  readonly port: number;
  readonly certificateFile: string;
  /** Holds the certificate that comes and the one that goes while it is renewed; absent otherwise. */
  readonly renewalFile: string;
  readonly tokenFile: string;
}

/** Where a server is, from its configuration file. Throws a CliError that says what is wrong with the file. */
export async function serverPlace(file: string, env: NodeJS.ProcessEnv = process.env): Promise<ServerPlace> {
  return (await quickPlace(file, env)) ?? (await wholePlace(file, env));
}

/**
 * The few values this needs, without loading the whole configuration with its checks: that is most of the time a short command takes.
 * Null when anything is out of the ordinary, so that the whole way explains it.
 */
export async function quickPlace(file: string, env: NodeJS.ProcessEnv): Promise<ServerPlace | null> {
  if (Object.keys(env).some((name) => name.startsWith('UNDERSTUDY_') && name.includes('__'))) return null;
  try {
    const text = readFileSync(file, 'utf8');
    const document: unknown = text.trimStart().startsWith('{') ? JSON.parse(text) : (await import('yaml')).parse(text);
    const { node, ports } = document as {
      node: { name?: unknown; address?: unknown; dataDirectory?: unknown };
      ports?: { healthMonitor?: unknown };
    };
    const port = ports?.healthMonitor ?? 8082;
    const dataDirectory = node.dataDirectory ?? '/var/lib/understudy';
    if (typeof node.name !== 'string' || typeof node.address !== 'string') return null;
    if (typeof dataDirectory !== 'string' || !dataDirectory.startsWith('/') || !Number.isInteger(port)) return null;
    return {
      name: node.name,
      address: node.address,
      port: port as number,
      certificateFile: join(dataDirectory, 'identity', 'certificate.pem'),
      renewalFile: join(dataDirectory, 'identity', 'renewal.json'),
      tokenFile: join(dataDirectory, 'run', 'cli-token'),
    };
  } catch {
    return null;
  }
}

async function wholePlace(file: string, env: NodeJS.ProcessEnv): Promise<ServerPlace> {
  const { formatProblem, loadConfiguration, NodePaths } = await import('@understudy/platform');
  const loaded = loadConfiguration(file, env);
  if (!loaded.ok) throw new CliError(EXIT.usage, loaded.problems.map(formatProblem).join('\n'));
  const { node, ports } = loaded.configuration;
  const paths = new NodePaths(node.dataDirectory);
  return {
    name: node.name,
    address: node.address,
    port: ports.healthMonitor,
    certificateFile: paths.certificate,
    renewalFile: paths.renewal,
    tokenFile: paths.cliToken,
  };
}
