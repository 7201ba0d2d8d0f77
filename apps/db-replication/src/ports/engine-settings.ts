/** What the engine needs to know about this server; made from the configuration file, or by a test. */
export interface EngineSettings {
  readonly serverName: string;
  /** Address by which the peer reaches this server. */
  readonly address: string;
  /** Clients come by an address that is not always here: PostgreSQL listens on all. */
  readonly hasVirtualIp?: boolean;
  readonly port: number;
  /** Directory with `postgres`, `pg_basebackup`, ... */
  readonly binDirectory: string;
  readonly dataDirectory: string;
  /** The operating system user for PostgreSQL when we are root; ignored otherwise. */
  readonly osUser: string;
  readonly accessRules: readonly string[];
  readonly parameters: Readonly<Record<string, string>>;
  readonly retentionSeconds: number;
  readonly walKeepLimitBytes: number;
  /** Bytes per second of a full copy; 0: unlimited. */
  readonly copyRateLimitBytes: number;
  /** Identity of this run of the server: a new one means that it was booted, and nothing runs until a task says so. */
  readonly runId: string;
  readonly paths: EnginePaths;
}

/** Directories and files of this server that the engine uses. */
export interface EnginePaths {
  /** Of all of this server's files; PostgreSQL's user must be able to pass through it. */
  readonly root: string;
  readonly certificate: string;
  readonly privateKey: string;
  readonly run: string;
  readonly sockets: string;
  readonly logs: string;
  readonly configuration: string;
  readonly setAside: string;
}
