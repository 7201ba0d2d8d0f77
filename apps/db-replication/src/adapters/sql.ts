import { type PeerIdentity, trustedCertificates } from '@understudy/contracts';
import { REPLICATION_ROLE } from '@understudy/platform';
import pg from 'pg';

/** One row; every column as text, boolean or number. */
export type Row = Record<string, unknown>;

/** An open connection. */
export interface Session {
  /** Runs statements without parameters; returns the rows of the last one. */
  query(text: string): Promise<Row[]>;
}

/** This server's PostgreSQL, reached over its socket as its superuser. */
export interface LocalServer {
  readonly socketDirectory: string;
  readonly port: number;
}

/** The peer and what proves who we are. */
export interface PeerServer {
  readonly peer: PeerIdentity;
  readonly certificatePem: string;
  readonly privateKeyPem: string;
}

/**
 * Does something on a fresh connection; the whole of it within `deadlineMs`. Commits never wait for the peer: what we
 * write must work while it is absent. Throws what PostgreSQL or the socket throws.
 */
export async function withLocal<T>(
  server: LocalServer,
  deadlineMs: number,
  work: (session: Session) => Promise<T>,
): Promise<T> {
  const client = openLocal(server, deadlineMs);
  return within(client, deadlineMs, async () => {
    await client.connect();
    return work(sessionOf(client));
  });
}

/**
 * Does something on the peer, over TLS with the pinned certificates, on a connection that also takes replication commands:
 * `database` takes SQL too, `stream` is the kind that a standby uses.
 */
export async function withPeer<T>(
  { peer, certificatePem, privateKeyPem }: PeerServer,
  deadlineMs: number,
  work: (session: Session) => Promise<T>,
  kind: 'database' | 'stream' = 'database',
): Promise<T> {
  const client = new pg.Client({
    host: peer.address,
    port: peer.ports.database,
    user: REPLICATION_ROLE,
    database: 'postgres',
    replication: kind === 'database' ? 'database' : 'true',
    application_name: 'understudy-task',
    connectionTimeoutMillis: Math.min(3000, deadlineMs),
    ssl: {
      ca: trustedCertificates(peer).map((trusted) => trusted.certificatePem),
      cert: certificatePem,
      key: privateKeyPem,
      rejectUnauthorized: true,
      // The certificate itself is pinned; the name in it adds nothing.
      checkServerIdentity: () => undefined,
    },
  } as pg.ClientConfig);
  return within(client, deadlineMs, async () => {
    await client.connect();
    return work(sessionOf(client));
  });
}

/** A connection to this server that is kept between questions, and made anew when it broke. */
export class KeptSession {
  private client: pg.Client | null = null;

  constructor(private readonly server: LocalServer) {}

  async query(text: string, deadlineMs: number): Promise<Row[]> {
    const client = await this.connected(deadlineMs);
    try {
      return await deadline(
        client.query(text).then((result) => rowsOf(result)),
        deadlineMs,
      );
    } catch (error) {
      this.close();
      throw error;
    }
  }

  close(): void {
    const client = this.client;
    this.client = null;
    if (client) end(client);
  }

  private async connected(deadlineMs: number): Promise<pg.Client> {
    if (this.client) return this.client;
    const client = openLocal(this.server, deadlineMs);
    client.on('error', () => {
      if (this.client === client) this.client = null;
      end(client);
    });
    try {
      await deadline(client.connect(), deadlineMs);
    } catch (error) {
      end(client);
      throw error;
    }
    this.client = client;
    return client;
  }
}

function openLocal({ socketDirectory, port }: LocalServer, deadlineMs: number): pg.Client {
  return new pg.Client({
    host: socketDirectory,
    port,
    user: 'postgres',
    database: 'postgres',
    application_name: 'understudy-local',
    connectionTimeoutMillis: deadlineMs,
    options: '-c synchronous_commit=local',
  });
}

async function within<T>(client: pg.Client, deadlineMs: number, work: () => Promise<T>): Promise<T> {
  client.on('error', () => undefined);
  try {
    return await deadline(work(), deadlineMs);
  } finally {
    end(client);
  }
}

async function deadline<T>(work: Promise<T>, deadlineMs: number): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no answer within ${deadlineMs} ms`)), deadlineMs);
  });
  work.catch(() => undefined);
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** Says goodbye, and drops the connection when the other side does not care. */
function end(client: pg.Client): void {
  const { stream } = (client as unknown as { connection: { stream: { destroy(): void } } }).connection;
  const timer = setTimeout(() => stream.destroy(), 200);
  client
    .end()
    .catch(() => undefined)
    .finally(() => {
      clearTimeout(timer);
      stream.destroy();
    });
}

function sessionOf(client: pg.Client): Session {
  return { query: async (text) => rowsOf(await client.query(text)) };
}

function rowsOf(result: pg.QueryResult | pg.QueryResult[]): Row[] {
  return (Array.isArray(result) ? result.at(-1)?.rows : result.rows) ?? [];
}
