import { renameSync } from 'node:fs';
import { join } from 'node:path';
import { differencesFrom } from '../procedures/conformance.ts';
import type { ProcedureId, StateLabel } from '../procedures/state-sequences.ts';
import type { Acknowledgement, WriteLog } from '../writer/write-log.ts';
import { CREATE_WRITER_TABLE, Writer } from '../writer/writer.ts';
import { Application } from './application.ts';
import { monotonicMs, until } from './deadline.ts';
import type { Host } from './host.ts';
import { AUTHENTICATION_KEY, type HeartbeatTimes } from './node-configuration.ts';
import { Stage } from './stage.ts';
import { type Layout, UnderstudyServer } from './understudy-server.ts';

/** What a pair is built with. */
export interface PairOptions {
  readonly layout: Layout;
  readonly heartbeat: HeartbeatTimes;
  /** With the sample application in both servers' configuration; true unless told. */
  readonly application?: boolean;
  /** Further keys of both servers' configuration files, by section. */
  readonly sections?: Readonly<Record<string, unknown>>;
  /** The virtual IP with which the pair is registered; none unless told. */
  readonly virtualIp?: { readonly ipv4: string; readonly ipv6?: string };
  /** Done to every host once it has its network. */
  readonly prepareHost?: (host: Host) => void;
}

/** Who decides about a takeover. */
export type FailoverType = 'manual' | 'automatic';

/** Quick detection for tests: a peer is lost after 4 s and taken over from after 5 s and the probe. */
export const TEST_TIMES: HeartbeatTimes = {
  intervalSeconds: 1,
  missedLimit: 4,
  graceSeconds: 1,
  probeTimeoutSeconds: 1,
};

const BOOT_MS = 90_000;
const REGISTRATION_MS = 90_000;

/** Two real servers, alpha (primary, n1) and beta (secondary, n2), and a client (n3). */
export class RealPair {
  readonly stage: Stage;
  primary: UnderstudyServer;
  readonly secondary: UnderstudyServer;
  readonly application: Application;
  private readonly writers: Writer[] = [];
  private readonly virtualIp: PairOptions['virtualIp'];
  /** Done to a host that was switched on. */
  readonly prepare: (host: Host) => void;

  /** Builds the stage; nothing runs on it yet. */
  constructor(options: PairOptions) {
    const { layout, heartbeat, sections = {} } = options;
    this.stage = Stage.create();
    this.virtualIp = options.virtualIp;
    this.prepare = options.prepareHost ?? (() => undefined);
    for (const host of this.stage.hosts) this.prepare(host);
    const { n1, n2 } = this.stage;
    this.application = new Application(this.stage);
    const withApplication = (host: typeof n1) =>
      options.application === false ? sections : { processes: [this.application.configurationFor(host)], ...sections };
    const alpha = { name: 'alpha', role: 'primary', heartbeat, sections: withApplication(n1) } as const;
    const beta = { name: 'beta', role: 'secondary', heartbeat, sections: withApplication(n2) } as const;
    this.primary = new UnderstudyServer(n1, alpha, layout);
    this.secondary = new UnderstudyServer(n2, beta, layout);
  }

  get servers(): readonly [UnderstudyServer, UnderstudyServer] {
    return [this.primary, this.secondary];
  }

  /** Boots both servers, registers them, and waits until they protect each other. */
  async start(failoverType: FailoverType): Promise<void> {
    for (const server of this.servers) server.boot();
    for (const server of this.servers) await server.canBePaired({ withinMs: BOOT_MS });
    await this.register(failoverType);
    await this.inSync({ withinMs: 60_000 });
  }

  /** Registers the secondary at the primary and waits for the end of the operation. */
  async register(failoverType: FailoverType): Promise<void> {
    await this.primary.perform('/ha/configuration', this.registration(failoverType), {
      method: 'PUT',
      withinMs: REGISTRATION_MS,
    });
  }

  /** Body of PUT /ha/configuration. */
  registration(failoverType: FailoverType): Record<string, unknown> {
    const secondaryAddress = this.secondary.host.address;
    const virtualIp = this.virtualIp === undefined ? {} : { virtualIp: this.virtualIp };
    return { secondaryAddress, authenticationKey: AUTHENTICATION_KEY, emailAddresses: [], failoverType, ...virtualIp };
  }

  /**
   * The primary's machine is dead; a new one with an empty disk is connected at the same address and started. Returns the old disk's
   * directory of the server, which no host uses any more.
   */
  bringNewPrimary(): string {
    const { host, description, layout, dataDirectory } = this.primary;
    const kept = join(this.stage.directory, `${host.name}-kept`);
    renameSync(dataDirectory, kept);
    this.primary = new UnderstudyServer(host, description, layout);
    host.powerOn();
    this.primary.boot();
    return kept;
  }

  /** Waits for Primary Active / Secondary Syncing with the standby streaming, ready to switch. */
  async inSync(options: { readonly withinMs: number }): Promise<void> {
    await this.settles(options, 'Primary Active', 'Secondary Syncing', this.primary, this.secondary, 'forced-failover');
  }

  /** Waits for Secondary Active / Primary Syncing with the standby streaming, ready to switch back. */
  async inSyncSwapped(options: { readonly withinMs: number }): Promise<void> {
    await this.settles(options, 'Primary Syncing', 'Secondary Active', this.secondary, this.primary, 'failback');
  }

  /** Waits until the standby streams from the active server, as both databases say. */
  async streams(
    active: UnderstudyServer,
    standby: UnderstudyServer,
    options: { readonly withinMs: number },
  ): Promise<void> {
    const what = `${standby.description.name} streams from ${active.description.name}`;
    await until(what, options, () => this.isStreaming(active, standby));
  }

  /** True when the standby streams from the active server at this moment. Rejects when a database does not answer. */
  async isStreaming(active: UnderstudyServer, standby: UnderstudyServer): Promise<boolean> {
    const sql = `select count(*) from pg_stat_replication where state = 'streaming' and client_addr = '${standby.host.address}'`;
    const [[streaming] = []] = await active.query(sql);
    if (Number(streaming) < 1) return false;
    const [[inRecovery] = []] = await standby.query('select pg_is_in_recovery()');
    return inRecovery === 't';
  }

  /** Makes both servers' present states the beginning of what conformsTo() and reaches() look at. */
  async mark(): Promise<void> {
    for (const server of this.servers) await server.mark();
  }

  /** Throws unless the states since mark() are those of the procedure. */
  async conformsTo(procedure: ProcedureId): Promise<void> {
    // a server that was stopped on purpose does not answer: what it told before counts
    for (const server of this.servers)
      if (server.host.isPowered) await server.tellsItsEvents({ withinMs: 3000 }).catch(() => {});
    const differences = differencesFrom(procedure, {
      primary: this.primary.history.sinceMark(),
      secondary: this.secondary.history.sinceMark(),
    });
    if (differences.length > 0) throw new Error(differences.join('\n'));
  }

  /** Starts a client that writes to whichever server is read-write, the primary tried first unless told, from the client's host unless told. */
  async startWriter(
    targets?: readonly string[],
    from: Host = this.stage.n3,
    options: Parameters<typeof Writer.start>[3] = {},
  ): Promise<Writer> {
    const writable = (await this.primary.status())?.currentRole === 'active' ? this.primary : this.secondary;
    await writable.query(CREATE_WRITER_TABLE);
    const run = `${from.name}-${Math.round(monotonicMs())}`;
    const writer = Writer.start(from, run, targets ?? this.servers.map(({ host }) => `${host.address}:5432`), options);
    this.writers.push(writer);
    if (!targets) await writer.isWriting({ withinMs: 20_000 });
    return writer;
  }

  /** Ends a writer and returns its log with the acknowledged rows that `survivor` does not have. */
  async finish(
    writer: Writer,
    survivor: UnderstudyServer,
  ): Promise<{ readonly log: WriteLog; readonly lost: Acknowledgement[] }> {
    const log = await writer.stop();
    const rows = await survivor.query(`select sequence from understudy_e2e where run = '${writer.run}'`);
    return { log, lost: log.lost(new Set(rows.map((row) => Number(row[0])))) };
  }

  /** Ends the writers that still run. */
  async stopWriters(): Promise<void> {
    for (const writer of this.writers.splice(0)) await writer.stop();
  }

  /** Ends everything and removes it, the files too unless `keepFiles`. */
  destroy(options: { readonly keepFiles?: boolean } = {}): void {
    this.stage.destroy(options);
  }

  /** Waits for both states, the stream between the databases, and the action that the secondary offers then: one deadline for all. */
  private async settles(
    options: { readonly withinMs: number },
    primaryState: StateLabel,
    secondaryState: StateLabel,
    active: UnderstudyServer,
    standby: UnderstudyServer,
    action: string,
  ): Promise<void> {
    const end = monotonicMs() + options.withinMs;
    const left = () => ({ withinMs: Math.max(1000, end - monotonicMs()) });
    await this.primary.is(primaryState, left());
    await this.secondary.is(secondaryState, left());
    await this.streams(active, standby, left());
    // a manager that was restarted has its state at once, and hears the other server later
    for (const server of this.servers)
      await server.shows('that it hears the other server', left(), ({ peer }) => peer?.reachable === true);
    await this.secondary.shows(`that ${action} is possible`, left(), ({ availableActions }) =>
      availableActions.includes(action),
    );
  }
}
