import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { DatabaseFacts, DatabaseTask, DatabaseTaskResult, PeerIdentity } from '@understudy/contracts';
import {
  ensureOwnIdentity,
  findPostgresqlBinDirectory,
  freePort,
  NodePaths,
  SILENT_LOGGER,
  SystemClock,
} from '@understudy/platform';
import { type Row, withLocal } from '../adapters/sql.ts';
import { DatabaseEngine } from '../engine/engine.ts';
import type { Incident } from '../ports/engine-events.ts';
import type { EngineSettings } from '../ports/engine-settings.ts';

/** Becomes a standby of the peer, by whatever way. */
export const FOLLOW: DatabaseTask = { kind: 'follow-peer', forceCopy: false, awaySeconds: null };

/** A server of the pair, as far as its PostgreSQL goes. */
export class DatabaseServer {
  readonly incidents: Incident[] = [];
  readonly observed: DatabaseFacts[] = [];
  /** May be changed before `begin`. */
  settings: EngineSettings;
  readonly paths: NodePaths;
  engine!: DatabaseEngine;
  identity!: PeerIdentity;
  private peer: PeerIdentity | null = null;
  private tasks = 0;
  private epoch = 1;

  constructor(
    readonly name: string,
    readonly address: string,
    directory: string,
    private readonly port: number,
  ) {
    this.paths = new NodePaths(join(directory, name));
    mkdirSync(this.paths.identity, { recursive: true });
    const { paths } = this;
    this.settings = {
      serverName: name,
      address,
      port,
      binDirectory: findPostgresqlBinDirectory(process.env.PATH ?? '') as string,
      dataDirectory: join(paths.dataDirectory, 'postgresql'),
      osUser: 'postgres',
      accessRules: ['host all all 127.0.0.0/8 trust'],
      parameters: { shared_buffers: '16MB', max_connections: '40' },
      retentionSeconds: 6 * 3600,
      walKeepLimitBytes: 1024 ** 3,
      copyRateLimitBytes: 0,
      runId: 'first',
      paths: {
        root: paths.dataDirectory,
        certificate: paths.certificate,
        privateKey: paths.privateKey,
        run: paths.run,
        sockets: paths.sockets,
        logs: paths.logs,
        configuration: paths.postgresqlConfig,
        setAside: paths.setAside,
      },
    };
  }

  /** Starts the service; again after `engine.close`, as a restart of it (same run) or of the server (another run). */
  async begin(runId = 'first'): Promise<void> {
    const { name, address, port } = this;
    const own = await ensureOwnIdentity(this.paths, { name, address });
    const ports = { healthMonitor: 1, fileSync: 2, pairLink: 3, database: port };
    const { certificatePem, fingerprint } = own;
    this.identity = { name, role: 'primary', address, certificatePem, fingerprint, ports, pairId: 'p' };
    this.engine = new DatabaseEngine(
      { ...this.settings, runId },
      {
        factsObserved: (facts) => void this.observed.push(facts),
        incident: (incident) => void this.incidents.push(incident),
      },
      new SystemClock(),
      SILENT_LOGGER,
    );
    if (this.peer) await this.engine.setPeer(this.peer);
    await this.engine.start();
  }

  /** Each knows the other as its pinned peer. */
  async pairWith(other: DatabaseServer): Promise<void> {
    this.peer = other.identity;
    other.peer = this.identity;
    await this.engine.setPeer(this.peer);
    await other.engine.setPeer(other.peer);
  }

  /** Begins a task and does not wait for its end. */
  begun(task: DatabaseTask, replaces: string | null = null): { taskId: string; answer: Promise<unknown> } {
    const taskId = `${this.name}-${++this.tasks}`;
    const request = { taskId, epoch: this.epoch, task, holdMs: 0, replaces };
    return { taskId, answer: this.engine.desk.perform(request) };
  }

  /** Facts, once they are as wanted. */
  async reaches(wanted: Partial<DatabaseFacts>, limitMs = 20_000): Promise<DatabaseFacts> {
    let facts = await this.engine.facts();
    const isReached = () =>
      Object.entries(wanted).every(([name, value]) => facts[name as keyof DatabaseFacts] === value);
    await until(async () => {
      facts = await this.engine.facts();
      return isReached();
    }, limitMs);
    return facts;
  }

  /** What a task that was begun has come to. */
  ended(taskId: string): Promise<unknown> {
    return this.engine.desk.perform({ taskId, epoch: this.epoch, task: FOLLOW, holdMs: 0, replaces: null });
  }

  /** Performs a task to its end, in the place of another when told so; returns its result or throws its code. */
  async perform(task: DatabaseTask, replaces: string | null = null): Promise<DatabaseTaskResult> {
    const taskId = `${this.name}-${++this.tasks}`;
    for (;;) {
      const answer = await this.engine.desk.perform({ taskId, epoch: this.epoch, task, holdMs: 1000, replaces });
      if (answer.state === 'succeeded') return answer.result;
      if (answer.state === 'failed') throw new Error(`${answer.code}: ${answer.message}`);
    }
  }

  /** Statements by the socket that applications use. */
  query(text: string): Promise<Row[]> {
    return withLocal({ socketDirectory: this.paths.sockets, port: this.port }, 10_000, (session) =>
      session.query(text),
    );
  }

  /** Number of rows in the table `item`. */
  async rows(): Promise<number> {
    const [row] = await this.query('SELECT count(*)::int AS n FROM item');
    return row?.n as number;
  }

  /** Process id of its PostgreSQL. */
  get postmasterPid(): number {
    return Number(readFileSync(join(this.settings.dataDirectory, 'postmaster.pid'), 'utf8').split('\n')[0]);
  }
}

/** Two servers with PostgreSQL on addresses of this machine, in a directory of their own. */
export class DatabaseStage {
  private constructor(
    readonly directory: string,
    readonly a: DatabaseServer,
    readonly b: DatabaseServer,
  ) {}

  /** Makes both; nothing of PostgreSQL runs yet. */
  static async make(): Promise<DatabaseStage> {
    const directory = mkdtempSync(join(tmpdir(), 'dbr-'));
    chmodSync(directory, 0o755);
    const a = new DatabaseServer('alpha', '127.0.1.1', directory, await freePort('127.0.1.1'));
    const b = new DatabaseServer('beta', '127.0.1.2', directory, await freePort('127.0.1.2'));
    await a.begin();
    await b.begin();
    return new DatabaseStage(directory, a, b);
  }

  /** A active, with a table `item` of 1000 rows, B its streaming standby. */
  async replicate(): Promise<void> {
    const { a, b } = this;
    await a.perform({ kind: 'start-active' });
    await a.query('CREATE TABLE item (id int PRIMARY KEY)');
    await a.query('INSERT INTO item SELECT generate_series(1, 1000)');
    await a.pairWith(b);
    await a.perform({ kind: 'prepare-source' });
    await b.perform(FOLLOW);
    await a.reaches({ streaming: true });
  }

  /** Ends everything and deletes it. */
  async remove(): Promise<void> {
    for (const server of [this.a, this.b]) await server.engine.close({ shutdown: true });
    rmSync(this.directory, { recursive: true, force: true });
  }
}

/** Waits for a condition; fails when it does not come true in time. */
export async function until(condition: () => Promise<boolean>, limitMs = 20_000): Promise<void> {
  for (const end = performance.now() + limitMs; ; await delay(10)) {
    if (await condition()) return;
    if (performance.now() > end) throw new Error(`not within ${limitMs} ms`);
  }
}
