import { existsSync, readFileSync } from 'node:fs';
import { unlink } from 'node:fs/promises';
import { ensureOwnIdentity, type NodeConfiguration, type NodePaths, writeFileAtomically } from '@understudy/platform';
import { NotStartable } from './not-startable.ts';

const PEER_PORTS = ['healthMonitor', 'fileSync', 'pairLink', 'database'] as const;

/** By what others know this server, as of its last start. What is missing was written by an earlier version. */
interface OwnServer {
  readonly name: string;
  readonly role: string;
  readonly address?: string;
  readonly ports?: { readonly [name in (typeof PEER_PORTS)[number]]: number };
}

/**
 * Refuses the data directory of another server, and a change of what the peer of a pair knows this one by: it could not be reached any
 * more. Spec: "Reset the Server IP Address or Host Name".
 */
export function requireOwnServer(configuration: NodeConfiguration, paths: NodePaths, file: string): void {
  const known = knownServer(paths);
  if (known === null) return;
  const { node } = configuration;
  const changes = changesOf(known, configuration);
  const isAnother = known.role !== node.role || (known.name !== node.name && known.address !== node.address);
  if (isAnother)
    throw new NotStartable([
      `node.dataDirectory: ${paths.dataDirectory} belongs to ${known.role} "${known.name}", this configuration is for ${node.role} "${node.name}"; give each server a directory of its own`,
    ]);
  if (changes.length === 0 || !existsSync(paths.peer)) return;
  throw new NotStartable(
    changes.map(
      ({ key, was, is }) =>
        `${file}: ${key} is ${is}, but this server is paired with ${was}: put that back, or remove HA first ("understudy ha remove"), then change it and register again`,
    ),
  );
}

/**
 * Makes this server's identity at its first start, and anew when its name or address has changed; notes by what it is known. Throws
 * NotStartable when what is there cannot be used.
 */
export async function ensureOwnServer(configuration: NodeConfiguration, paths: NodePaths): Promise<void> {
  const { name, role, address } = configuration.node;
  const known = knownServer(paths);
  const isMoved = known !== null && changesOf(known, configuration).some(({ key }) => key.startsWith('node.'));
  if (isMoved) for (const file of [paths.renewal, paths.certificate]) await unlink(file).catch(() => undefined);
  await ensureOwnIdentity(paths, { name, address }).catch((error: Error) => {
    // what the file system says is no matter of what is in the files
    if ('syscall' in error) throw error;
    throw new NotStartable([
      `${paths.identity}: certificate and key of this server cannot be used: ${error.message.trim()}. Put key.pem and certificate.pem back from one backup, without renewal.json; or remove certificate.pem and renewal.json, so that new ones are made: the other server has to forget the old certificate then ("understudy cert forget ${name}" there)`,
    ]);
  });
  const ports = Object.fromEntries(PEER_PORTS.map((port) => [port, configuration.ports[port]]));
  const own = JSON.stringify({ name, role, address, ports });
  if (JSON.stringify(known) !== own) await writeFileAtomically(paths.nodeFile, `${own}\n`);
}

function changesOf(known: OwnServer, { node, ports }: NodeConfiguration) {
  return [
    { key: 'node.name', was: known.name, is: node.name },
    { key: 'node.address', was: known.address, is: node.address },
    ...PEER_PORTS.map((port) => ({ key: `ports.${port}`, was: known.ports?.[port], is: ports[port] })),
  ].filter(({ was, is }) => was !== undefined && was !== is);
}

function knownServer(paths: NodePaths): OwnServer | null {
  if (!existsSync(paths.nodeFile)) return null;
  try {
    return JSON.parse(readFileSync(paths.nodeFile, 'utf8')) as OwnServer;
  } catch {
    throw new NotStartable([
      `${paths.nodeFile} cannot be read; it says whose data this is: write {"name":"...","role":"..."}`,
    ]);
  }
}
