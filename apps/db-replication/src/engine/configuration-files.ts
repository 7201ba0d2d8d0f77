import { chmod, chown, lstat, mkdir, readFile, rm, stat, symlink } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { type PeerIdentity, trustedPem } from '@understudy/contracts';
import {
  connectionString,
  isLoopback,
  PEER_SLOT,
  REPLICATION_ROLE,
  readOwnIdentity,
  writeFileAtomically,
} from '@understudy/platform';
import type { Programs } from '../adapters/programs.ts';
import { renderAccessFiles } from '../domain/access-rules.ts';
import type { ControlData } from '../domain/control-data.ts';
import { renderServerConfiguration } from '../domain/server-configuration.ts';
import type { EngineEvents } from '../ports/engine-events.ts';
import type { EngineSettings } from '../ports/engine-settings.ts';

/** application_name of the peer's WAL receiver. */
export const PEER_APPLICATION = 'understudy';

/** PostgreSQL's configuration and certificates, outside its data directory, so that no copy of the peer replaces them. */
export class ConfigurationFiles {
  private reported = new Set<string>();

  constructor(
    private readonly settings: EngineSettings,
    private readonly programs: Programs,
    private readonly events: EngineEvents,
  ) {}

  file(name: string): string {
    return join(this.settings.paths.configuration, name);
  }

  get serverFile(): string {
    return this.file('postgresql.conf');
  }

  /** Arguments with which the server, and its single-user mode, find all of it. */
  get serverArguments(): string[] {
    const setting = (name: string, file: string) => ['-c', `${name}=${this.file(file)}`];
    return [
      ...setting('config_file', 'postgresql.conf'),
      ...setting('hba_file', 'pg_hba.conf'),
      ...setting('ident_file', 'pg_ident.conf'),
    ];
  }

  /** How PostgreSQL's own programs reach the peer. */
  peerConnection(peer: PeerIdentity, more: Record<string, string> = {}): string {
    return connectionString({
      host: peer.address,
      port: peer.ports.database,
      user: REPLICATION_ROLE,
      application_name: PEER_APPLICATION,
      sslmode: 'verify-ca',
      sslrootcert: this.file('peer.pem'),
      sslcert: this.file('server.pem'),
      sslkey: this.file('server-key.pem'),
      gssencmode: 'disable',
      connect_timeout: 3,
      keepalives_idle: 5,
      keepalives_interval: 2,
      keepalives_count: 3,
      tcp_user_timeout: 10_000,
      ...more,
    });
  }

  /** Makes the directories that PostgreSQL's user needs, and lets it pass through those above. */
  async prepareDirectories(): Promise<void> {
    const { paths, dataDirectory } = this.settings;
    for (const directory of [
      paths.root,
      paths.run,
      paths.logs,
      paths.configuration,
      paths.sockets,
      dirname(dataDirectory),
    ]) {
      await mkdir(directory, { recursive: true });
      await this.letPass(directory);
    }
    await mkdir(this.socketDirectory, { recursive: true, mode: 0o700 });
    const { owner } = this.programs;
    if (owner) await chown(this.socketDirectory, owner.uid, owner.gid);
    await chmod(this.socketDirectory, 0o700);
    await this.linkSocket();
  }

  /** Where PostgreSQL makes its socket: a directory of its own, because it must not be able to change what else lies in `sockets`. */
  private get socketDirectory(): string {
    return join(this.settings.paths.sockets, 'pg');
  }

  /** PostgreSQL's socket itself. */
  get socketFile(): string {
    return join(this.socketDirectory, `.s.PGSQL.${this.settings.port}`);
  }

  /** Clients look for the socket in `sockets` itself. */
  private async linkSocket(): Promise<void> {
    const name = `.s.PGSQL.${this.settings.port}`;
    const link = join(this.settings.paths.sockets, name);
    const present = await lstat(link).catch(() => null);
    if (present?.isSymbolicLink()) return;
    if (present) await rm(link);
    await symlink(join('pg', name), link);
  }

  /** Writes what has changed; true when something has. `capacity`: of the directory's pg_control, for a standby. */
  async render(input: {
    peer: PeerIdentity | null;
    isStandby: boolean;
    sourceRetired: boolean;
    capacity: ControlData['capacity'] | null;
    /** Commits wait for the peer. */
    commitsWait: boolean;
  }): Promise<boolean> {
    const { settings } = this;
    const { peer } = input;
    const own = await this.readIdentity();
    const server = renderServerConfiguration({
      serverName: settings.serverName,
      listenAddresses: listenAddresses(settings),
      port: settings.port,
      socketDirectory: this.socketDirectory,
      certificateFile: own && this.file('server.pem'),
      keyFile: own && this.file('server-key.pem'),
      peerCertificateFile: own && this.file('peer.pem'),
      source: peer && input.isStandby ? { connection: this.peerConnection(peer), slot: PEER_SLOT } : null,
      walKeepLimitBytes: settings.walKeepLimitBytes,
      synchronousPeer: input.commitsWait && !input.isStandby ? PEER_APPLICATION : null,
      parameters: settings.parameters,
      capacity: input.capacity,
    });
    const access = renderAccessFiles({
      peerName: peer && !input.sourceRetired ? peer.name : null,
      accessRules: settings.accessRules,
    });
    for (const { name, configured, ours } of server.clashes) {
      this.report(
        'configuration-clash',
        `database.parameters.${name} = ${configured} has no effect: this server needs ${ours}`,
      );
    }
    for (const { rule, reason } of access.refused) {
      this.report('access-rule-refused', `database.accessRules: "${rule}" was left out: ${reason}`);
    }
    const changes = [
      await this.write('postgresql.conf', server.text),
      await this.write('pg_hba.conf', access.hba),
      await this.write('pg_ident.conf', access.ident),
      own ? await this.write('server-key.pem', own.key) : false,
      own ? await this.write('server.pem', own.certificate) : false,
      // Where nobody's certificate is trusted, as before the pairing, PostgreSQL wants a file nevertheless.
      own ? await this.write('peer.pem', (peer && trustedPem(peer)) || own.certificate) : false,
    ];
    return changes.includes(true);
  }

  /** This server's certificate and key, null before they exist. */
  async readIdentity(): Promise<{ certificate: string; key: string } | null> {
    const own = await readOwnIdentity(this.settings.paths);
    return own && { certificate: own.certificatePem, key: own.privateKeyPem };
  }

  private async write(name: string, text: string): Promise<boolean> {
    const file = this.file(name);
    if ((await textOf(file)) === text) return false;
    const { owner } = this.programs;
    await writeFileAtomically(file, text, { mode: 0o600, ...(owner ? { owner } : {}) });
    return true;
  }

  private async letPass(directory: string): Promise<void> {
    if (!this.programs.owner) return;
    const { mode, uid } = await stat(directory);
    if (uid === this.programs.owner.uid || (mode & 0o001) !== 0) return;
    await chmod(directory, (mode & 0o7777) | 0o011);
  }

  private report(code: string, message: string): void {
    if (this.reported.has(message)) return;
    this.reported.add(message);
    this.events.incident({ severity: 'warning', code, message });
  }
}

/** A file's text, null when there is none. */
function textOf(file: string): Promise<string | null> {
  return readFile(file, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return null;
    throw error;
  });
}

/** Where PostgreSQL listens. It learns of an address only when it starts, so a virtual IP, which comes and goes, needs all of them. */
function listenAddresses({ address, hasVirtualIp }: EngineSettings): string[] {
  if (isLoopback(address)) return [address];
  return hasVirtualIp ? ['*'] : [address, '127.0.0.1'];
}
