import { copyFile, stat, truncate } from 'node:fs/promises';
import { createServer } from 'node:net';
import type { DatabaseFacts } from '@understudy/contracts';
import type { Clock, Logger } from '@understudy/platform';
import { type Row, withLocal } from '../adapters/sql.ts';
import { CAPACITY_SETTINGS } from '../domain/control-data.ts';
import { OWN_SETTING_NAMES } from '../domain/server-configuration.ts';
import type { EngineEvents } from '../ports/engine-events.ts';
import type { DataDirectory } from './data-directory.ts';
import type { Postmaster } from './postmaster.ts';

const CAPACITY_EVERY_MS = 2000;
const SETTINGS_EVERY_MS = 30_000;
const LOG_EVERY_MS = 60_000;
const ADDRESS_EVERY_MS = 5000;
const LOG_LIMIT_BYTES = 32 * 1024 * 1024;
const ASK_MS = 5000;

/** What has to be looked after while PostgreSQL runs. Most calls do nothing, and the failure of one part stops no other. */
export class Housekeeping {
  private readonly doneAtMs = new Map<string, number>();
  private ended = false;

  constructor(
    private readonly postmaster: Postmaster,
    private readonly directory: DataDirectory,
    private readonly events: EngineEvents,
    private readonly clock: Clock,
    private readonly logger: Logger,
    /** Stops PostgreSQL and starts it again with a configuration made anew. */
    private readonly restart: () => Promise<void>,
    /** Where the peer reaches PostgreSQL; null: there is no peer. */
    private readonly endpoint: () => Endpoint | null,
    private readonly logLimitBytes = LOG_LIMIT_BYTES,
  ) {}

  /** Called with every observation while no task is at work. */
  async run({ usable, role }: DatabaseFacts): Promise<void> {
    await this.attempt('cut the log', LOG_EVERY_MS, () => this.cutLog());
    if (!usable) return;
    await this.attempt('check the settings', SETTINGS_EVERY_MS, () => this.takeBackSettings());
    await this.attempt('check the address', ADDRESS_EVERY_MS, () => this.serveAddress());
    if (role === 'standby') await this.attempt('check the capacity', CAPACITY_EVERY_MS, () => this.followCapacity());
  }

  /** The service ends: what is at work is finished, and nothing else begun. */
  end(): void {
    this.ended = true;
  }

  private async attempt(what: string, everyMs: number, work: () => Promise<void>): Promise<void> {
    if (this.ended) return;
    const nowMs = this.clock.nowMs();
    if (nowMs - (this.doneAtMs.get(what) ?? Number.NEGATIVE_INFINITY) < everyMs) return;
    this.doneAtMs.set(what, nowMs);
    await work().catch((error: unknown) => this.logger.debug(`Could not ${what}`, { error }));
  }

  /**
   * The active server was given more room (max_connections and the like) than this standby has: PostgreSQL pauses replay until it
   * is started again with as much. Before PostgreSQL 14 it ends instead, and is started again with as much anyway.
   */
  private async followCapacity(): Promise<void> {
    const own = CAPACITY_SETTINGS.map((name) => `current_setting('${name}')::int as ${name}`).join(', ');
    const [row] = await this.ask(`select pg_is_wal_replay_paused() as paused, ${own}`);
    if (row?.paused !== true) return;
    const { capacity } = await this.directory.control();
    const short = CAPACITY_SETTINGS.filter((name) => Number(row[name]) < capacity[name]);
    if (short.length === 0) return;
    const changes = short.map((name) => `${name} from ${row[name]} to ${capacity[name]}`).join(', ');
    this.events.incident({
      severity: 'info',
      code: 'capacity-raised',
      message: `The active server has more room than this standby, which could not replay any further: it is restarted with ${changes}`,
    });
    await this.restart();
  }

  /**
   * An address that this server did not have yet when PostgreSQL was started (a network that comes up late) is left out for good:
   * the peer could never follow. Once the address is there and nobody listens on it PostgreSQL is started again.
   */
  private async serveAddress(): Promise<void> {
    const endpoint = this.endpoint();
    if (endpoint === null || !(await isFree(endpoint))) return;
    const address = `${endpoint.host}:${endpoint.port}`;
    const message = `PostgreSQL was started before ${address} was there, and does not listen on it: it is restarted`;
    this.events.incident({ severity: 'warning', code: 'address-not-served', message });
    await this.restart();
  }

  /** ALTER SYSTEM wins over our configuration: where it touches what the pair's safety rests on it is taken back. */
  private async takeBackSettings(): Promise<void> {
    const rows = await this.ask(
      `select distinct name from pg_file_settings where sourcefile like '%/postgresql.auto.conf' order by name`,
    );
    const shadowing = rows.map(({ name }) => String(name)).filter((name) => OWN_SETTING_NAMES.has(name));
    if (shadowing.length === 0) return;
    for (const name of shadowing) await this.ask(`alter system reset ${name}`);
    this.postmaster.reload();
    this.events.incident({
      severity: 'warning',
      code: 'configuration-clash',
      message: `ALTER SYSTEM SET ${shadowing.join(', ')} was taken back: Understudy sets it itself`,
    });
  }

  /** PostgreSQL writes its log itself, also while this service is not there; so it is cut where it lies, and one copy is kept. */
  private async cutLog(): Promise<void> {
    const { logFile } = this.postmaster;
    if ((await stat(logFile)).size < this.logLimitBytes) return;
    await copyFile(logFile, `${logFile}.1`);
    await truncate(logFile);
  }

  private ask(text: string): Promise<Row[]> {
    return withLocal(this.postmaster.local, ASK_MS, (session) => session.query(text));
  }
}

interface Endpoint {
  readonly host: string;
  readonly port: number;
}

/** The address is this server's, and nobody listens on its port. */
function isFree({ host, port }: Endpoint): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen(port, host, () => server.close(() => resolve(true)));
  });
}
