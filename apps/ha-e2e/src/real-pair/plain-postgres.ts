import {
  appendFileSync,
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { until } from './deadline.ts';
import type { Host } from './host.ts';
import { HostAgent } from './host-agent.ts';

/** Directory of the newest PostgreSQL on this machine, where `initdb` and `postgres` are. Throws when there is none. */
export function postgresBinDirectory(): string {
  const root = '/usr/lib/postgresql';
  const versions = existsSync(root) ? readdirSync(root).map(Number).filter(Number.isFinite) : [];
  const newest = Math.max(...versions);
  if (!Number.isFinite(newest)) throw new Error(`no PostgreSQL below ${root}`);
  return join(root, String(newest), 'bin');
}

/** A PostgreSQL on a host with nothing of the product around it: what the harness itself is tried on. */
export class PlainPostgres {
  private readonly host: Host;
  private readonly agent: HostAgent;
  private readonly dataDirectory: string;

  private constructor(host: Host) {
    this.host = host;
    this.agent = new HostAgent(host);
    this.dataDirectory = join(host.directory, 'plain-postgresql');
  }

  /** Initialises a database on the host and starts it at its address, port 5432, open to the stage. */
  static async create(host: Host): Promise<PlainPostgres> {
    const database = new PlainPostgres(host);
    mkdirSync(database.dataDirectory);
    const owner = statSync('/var/lib/postgresql');
    chownSync(database.dataDirectory, owner.uid, owner.gid);
    chmodSync(database.dataDirectory, 0o700);
    const initdb = [
      join(postgresBinDirectory(), 'initdb'),
      '-D',
      database.dataDirectory,
      '-U',
      'postgres',
      '-A',
      'trust',
    ];
    const { code, output } = await host.run([...initdb, '--no-sync'], { user: 'postgres' });
    if (code !== 0) throw new Error(`initdb: ${output}`);
    appendFileSync(
      join(database.dataDirectory, 'postgresql.conf'),
      "listen_addresses = '*'\nshared_buffers = '16MB'\n",
    );
    writeFileSync(join(database.dataDirectory, 'pg_hba.conf'), 'host all all 0.0.0.0/0 trust\n');
    await database.start();
    return database;
  }

  /** Starts the postmaster and waits until it answers. */
  async start(): Promise<void> {
    this.host.start([join(postgresBinDirectory(), 'postgres'), '-D', this.dataDirectory], {
      log: 'plain-postgresql.log',
      user: 'postgres',
    });
    await until('PostgreSQL answers', { withinMs: 20_000 }, async () => (await this.query('select 1')).length === 1);
  }

  /** Process id of the postmaster. */
  postmasterPid(): number {
    return Number(readFileSync(join(this.dataDirectory, 'postmaster.pid'), 'utf8').split('\n')[0]);
  }

  /** Runs SQL as the superuser. */
  query(sql: string): Promise<(string | null)[][]> {
    return this.agent.query(this.host.address, 5432, sql);
  }
}
