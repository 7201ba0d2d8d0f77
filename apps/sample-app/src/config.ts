import pg from 'pg';

/** Where the sample listens and which database it writes to. */
export interface SampleConfiguration {
  /** Name of the server it runs on, shown to whoever asks. */
  readonly serverName: string;
  readonly listenAddress: string;
  readonly listenPort: number;
  readonly database: pg.PoolConfig;
}

/**
 * Reads the environment: SAMPLE_PORT (8080), SAMPLE_ADDRESS (UNDERSTUDY_NODE_ADDRESS, else 127.0.0.1), UNDERSTUDY_NODE_NAME,
 * and the database from DATABASE_URL or the usual PGHOST, PGPORT, PGUSER, PGDATABASE. Throws when the port is none.
 */
export function configurationFrom(env: NodeJS.ProcessEnv): SampleConfiguration {
  const listenPort = Number(env.SAMPLE_PORT ?? 8080);
  if (!Number.isInteger(listenPort) || listenPort < 0 || listenPort > 65_535) {
    throw new Error(`SAMPLE_PORT is "${env.SAMPLE_PORT}", a port number is expected`);
  }
  return {
    serverName: env.UNDERSTUDY_NODE_NAME ?? 'this server',
    listenAddress: env.SAMPLE_ADDRESS ?? env.UNDERSTUDY_NODE_ADDRESS ?? '127.0.0.1',
    listenPort,
    database: {
      ...(env.DATABASE_URL ? { connectionString: env.DATABASE_URL } : { database: env.PGDATABASE ?? 'postgres' }),
      max: 3,
      connectionTimeoutMillis: 2_000,
      query_timeout: 3_000,
      idleTimeoutMillis: 5_000,
      application_name: 'understudy-sample',
    },
  };
}
