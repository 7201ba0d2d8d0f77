import { createHash } from 'node:crypto';
import { join } from 'node:path';

/** A path of a Unix socket may have 107 bytes on Linux; PostgreSQL's socket names add up to 20 to the directory's. */
const LONGEST_SOCKET_DIRECTORY = 107 - 20;

/** Where a server keeps what: every path under its data directory. */
export class NodePaths {
  constructor(readonly dataDirectory: string) {}

  /** Says whose data directory this is, and by what the peer knows this server: `{ name, role, address, ports }`. */
  get nodeFile(): string {
    return join(this.dataDirectory, 'node.json');
  }

  /** This server's certificate and key, and the pinned peer. */
  get identity(): string {
    return join(this.dataDirectory, 'identity');
  }

  get certificate(): string {
    return join(this.identity, 'certificate.pem');
  }

  get privateKey(): string {
    return join(this.identity, 'key.pem');
  }

  /** The pinned peer; absent when not paired. */
  get peer(): string {
    return join(this.identity, 'peer.json');
  }

  /** A renewal of the certificate that is under way; absent when there is none. */
  get renewal(): string {
    return join(this.identity, 'renewal.json');
  }

  /** How a certificate that was not seen before comes to be trusted; absent: on first use. */
  get certificatePolicy(): string {
    return join(this.identity, 'certificate-policy.json');
  }

  /** The first certificate of this server; absent on a server of an earlier release that has not renewed it yet. */
  get firstCertificate(): string {
    return join(this.identity, 'first-certificate.pem');
  }

  /** The verifier of the authentication key, with its salt; absent until one is set. */
  get authenticationKey(): string {
    return join(this.identity, 'authentication-key.json');
  }

  /** A change of the authentication key that is under way. */
  get authenticationKeyChange(): string {
    return join(this.identity, 'authentication-key-change.json');
  }

  /** Sockets, process ids and credentials of this server's own parts; made anew when missing. */
  get run(): string {
    return join(this.dataDirectory, 'run');
  }

  /** `{ url, user, password }` of this server's NATS. */
  get busCredentials(): string {
    return join(this.run, 'bus.json');
  }

  /** `{ host, port, password }` of this server's Redis. */
  get storeCredentials(): string {
    return join(this.run, 'store.json');
  }

  /** Lets the CLI on this server in without a login; only root may read it. */
  get cliToken(): string {
    return join(this.run, 'cli-token');
  }

  /** `{ pid, startTime, runId, ... }` of the running `node run`. */
  get runnerLock(): string {
    return join(this.run, 'node.json');
  }

  /** Where the parts of a server that run in containers of their own learn of the run, and that it has ended. */
  get runSocket(): string {
    return join(this.run, 'run.sock');
  }

  /** The configuration with which this run of the server was started. */
  get configuration(): string {
    return join(this.run, 'node.yaml');
  }

  /** What is known of the application's running processes, beyond the life of their manager. */
  get processes(): string {
    return join(this.run, 'processes');
  }

  get compileCache(): string {
    return join(this.run, 'compile-cache');
  }

  /** The two-slot decision journal. */
  get journal(): string {
    return join(this.dataDirectory, 'journal');
  }

  /** The newest report of the readiness checks. */
  get readinessReport(): string {
    return join(this.dataDirectory, 'readiness.json');
  }

  get logs(): string {
    return join(this.dataDirectory, 'logs');
  }

  /** The node store's files. */
  get redis(): string {
    return join(this.dataDirectory, 'redis');
  }

  /** The bus's configuration. */
  get nats(): string {
    return join(this.dataDirectory, 'nats');
  }

  /** PostgreSQL's configuration and certificates, outside its data directory so that no copy of the peer replaces them. */
  get postgresqlConfig(): string {
    return join(this.dataDirectory, 'postgresql-config');
  }

  /** What is known of each file set. */
  get fileSync(): string {
    return join(this.dataDirectory, 'file-sync');
  }

  /** What a rewind, a full copy or the synchronisation of files would have lost. */
  get setAside(): string {
    return join(this.dataDirectory, 'set-aside');
  }

  /** Directory for Unix sockets: `run`, unless its path is too long for a socket; then a short one under /tmp, the same at every start. */
  get sockets(): string {
    if (Buffer.byteLength(this.run) <= LONGEST_SOCKET_DIRECTORY) return this.run;
    const hash = createHash('sha256').update(this.dataDirectory).digest('hex').slice(0, 12);
    return `/tmp/understudy-${hash}`;
  }
}
