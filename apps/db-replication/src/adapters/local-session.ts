import pg from 'pg';

/** Runs statements on one connection. */
export interface Session {
  /** Rows of one statement; values are text as PostgreSQL prints them, except booleans, small integers and null. */
  query<Row = Record<string, unknown>>(text: string, values?: readonly unknown[]): Promise<Row[]>;
}

/** The deadline of a session passed; it was cut off. */
export class SessionDeadlineError extends Error {}

/**
 * Opens a fresh connection, runs `work` on it and closes it, all within `deadlineMs`; then the connection is destroyed, whatever
 * the server is doing. Never waits longer, never keeps a connection: a reused one would not notice that new ones fail.
 */
export async function withSession<T>(
  options: pg.ClientConfig & { readonly replication?: string },
  deadlineMs: number,
  work: (session: Session) => Promise<T>,
): Promise<T> {
  const client = new pg.Client({ ...options, keepAlive: true, connectionTimeoutMillis: deadlineMs });
  // Errors reach us through the pending query; without a listener Node would end the process.
  client.on('error', () => undefined);
  let timer: NodeJS.Timeout | undefined;
  const deadline = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new SessionDeadlineError(`no answer within ${deadlineMs} ms`)), deadlineMs);
  });
  deadline.catch(() => undefined);
  const working = (async () => {
    await client.connect();
    return work({
      query: async <Row>(text: string, values?: readonly unknown[]) =>
        (values ? await client.query(text, values as unknown[]) : await client.query(text)).rows as Row[],
    });
  })();
  working.catch(() => undefined);
  try {
    return await Promise.race([working, deadline]);
  } finally {
    clearTimeout(timer);
    void client.end().catch(() => undefined);
    const { stream } = (client as unknown as { connection: { stream: { destroyed: boolean; destroy(): void } } })
      .connection;
    // `end` says goodbye first; a server that does not listen is not waited for.
    setTimeout(() => stream.destroyed || stream.destroy(), 200).unref();
  }
}

/** Sessions with this server's PostgreSQL, as superuser, over the socket that only root and PostgreSQL's user reach. */
export class LocalDatabase {
  constructor(
    private readonly socketDirectory: string,
    private readonly port: number,
  ) {}

  /** See `withSession`. */
  session<T>(deadlineMs: number, work: (session: Session) => Promise<T>): Promise<T> {
    return withSession({ ...this.address, application_name: 'understudy' }, deadlineMs, work);
  }

  /** A session that understands replication commands. */
  replicationSession<T>(deadlineMs: number, work: (session: Session) => Promise<T>): Promise<T> {
    return withSession({ ...this.address, replication: 'true' }, deadlineMs, work);
  }

  private get address() {
    return { host: this.socketDirectory, port: this.port, user: 'postgres', database: 'postgres' };
  }
}
