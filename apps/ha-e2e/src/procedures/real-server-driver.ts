import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { pause, until } from '../real-pair/deadline.ts';
import { ip, type NamespaceProcess } from '../real-pair/namespaces.ts';
import type { FailoverType, RealPair } from '../real-pair/real-pair.ts';
import type { UnderstudyServer } from '../real-pair/understudy-server.ts';
import { CREATE_WRITER_TABLE } from '../writer/writer.ts';
import type { Order, ServerDriver } from './driver.ts';
import type { StateLabel } from './state-sequences.ts';

const WAL_RECEIVER = /^postgres: .*walreceiver/;
const TO_OTHER_DATABASE = ['ipproto', 'tcp', 'dport', '5432', 'blackhole'];

const REACH_SECONDS = 60;
/** For an order, a copy, a catch-up. */
export const PATIENCE = { withinMs: 90_000 };
const LOOK_MS = 20;
const BUS_REPLACED_MS = 2000;
const HAND_WRITTEN = 'by-hand';
/** What a standby may lack at a hand-over in a pair with low limits. */
export const LOW_LAG_BYTES = 1024 * 1024;
/** More than that. */
const MUCH = `create table if not exists understudy_much(line text);
  insert into understudy_much select repeat(md5(i::text), 40) from generate_series(1, 3000) as i`;

/** A row of the real table. */
interface RealRow {
  readonly sequence: number;
}

/** A REST request for long work. */
interface Request {
  readonly method: string;
  readonly path: string;
  readonly body: object;
}

/** Plays its part of a telling on a running server of the product. */
export class RealServerDriver implements ServerDriver {
  private frozen: readonly number[] = [];
  private copyFailures: NodeJS.Timeout | undefined;

  constructor(
    private readonly pair: RealPair,
    readonly server: UnderstudyServer,
    private readonly failoverType: FailoverType,
  ) {}

  async powerOff(): Promise<void> {
    this.frozen = [];
    this.server.die();
  }

  async powerOn(): Promise<void> {
    this.server.host.powerOn();
    this.server.boot();
  }

  stop(): Promise<void> {
    return this.server.stop(PATIENCE);
  }

  async start(name?: string): Promise<void> {
    this.server.boot(name === undefined ? {} : { node: { name } });
  }

  async reinstall(): Promise<void> {
    await this.server.stop(PATIENCE);
    this.server.loseEverything();
    this.server.boot();
  }

  async failProcess(): Promise<void> {
    this.pair.application.breakOn(this.server.host);
  }

  async mendProcess(): Promise<void> {
    this.pair.application.mendOn(this.server.host);
  }

  async failDatabase(): Promise<void> {
    this.freeze(({ name }) => name === 'postgres');
  }

  async mendDatabase(): Promise<void> {
    this.thaw();
  }

  async cutStream(): Promise<void> {
    const { host } = this.server;
    ip(['-n', host.namespace, 'rule', 'add', ...TO_OTHER_DATABASE]);
    for (const { pid, commandLine } of host.processes())
      if (WAL_RECEIVER.test(commandLine)) process.kill(pid, 'SIGTERM');
  }

  async healStream(): Promise<void> {
    ip(['-n', this.server.host.namespace, 'rule', 'delete', ...TO_OTHER_DATABASE]);
  }

  async stallStream(): Promise<void> {
    this.freeze(({ commandLine }) => WAL_RECEIVER.test(commandLine));
  }

  async freeStream(): Promise<void> {
    this.thaw();
  }

  async holdPromotion(): Promise<void> {
    this.freeze(({ commandLine }) => /^postgres: .*startup/.test(commandLine));
  }

  async freePromotion(): Promise<void> {
    this.thaw();
  }

  async failCopies(): Promise<void> {
    const { host } = this.server;
    this.copyFailures = setInterval(() => {
      for (const { pid, name } of host.processes()) if (name === 'pg_basebackup') host.kill(pid);
    }, LOOK_MS);
  }

  async endCopyFailures(): Promise<void> {
    clearInterval(this.copyFailures);
  }

  backUp(): Promise<void> {
    return this.replaceDirectory(this.backupDirectory, this.databaseDirectory);
  }

  restore(): Promise<void> {
    return this.replaceDirectory(this.databaseDirectory, this.backupDirectory);
  }

  reaches(state: StateLabel, withinSeconds = REACH_SECONDS): Promise<void> {
    return this.server.reaches(state, { withinMs: withinSeconds * 1000 });
  }

  async serves(): Promise<void> {
    await this.server.shows('itself active', PATIENCE, ({ currentRole }) => currentRole === 'active');
    await until('the database can be written to', PATIENCE, async () => {
      const [[inRecovery] = []] = await this.server.query('select pg_is_in_recovery()');
      return inRecovery === 'f';
    });
  }

  async missesPeer(): Promise<void> {
    await this.server.shows('that it misses its peer', PATIENCE, ({ peer }) => peer?.reachable === false);
  }

  async decidesBy(rule: string): Promise<void> {
    await until(`${this.server.description.name} decides by ${rule}`, { ...PATIENCE, everyMs: LOOK_MS }, async () => {
      await this.server.refreshHistory();
      return this.server.history.eventsSinceMark().some((event) => event.rule === rule);
    });
  }

  /** A moment after a removal the bus of the server is replaced: an order in that moment would get no answer. */
  async canBePaired(): Promise<void> {
    await this.server.canBePaired(PATIENCE);
    await pause(BUS_REPLACED_MS);
    await this.server.canBePaired(PATIENCE);
  }

  async offers(kind: Order['kind']): Promise<void> {
    await this.server.shows(`that ${kind} is possible`, PATIENCE, ({ availableActions }) =>
      availableActions.includes(kind),
    );
  }

  async order(order: Order): Promise<void> {
    if (order.kind === 'remove' && order.onCommandLine) return this.removeOnCommandLine();
    const { method, path, body } = this.requestFor(order);
    await this.server.perform(path, body, { ...PATIENCE, method });
  }

  async begin(order: Order): Promise<void> {
    const { method, path, body } = this.requestFor(order);
    const outcome = await this.server.ask(method, path, body);
    if (!outcome.accepted) throw new Error(`${order.kind} is refused: ${outcome.detail}`);
  }

  refusal(order: Order): Promise<string> {
    const { method, path, body } = this.requestFor(order);
    return this.server.refusal(method, path, body, PATIENCE);
  }

  async runsApplication(): Promise<boolean> {
    return this.pair.application.runsOn(this.server.host);
  }

  async write(): Promise<RealRow> {
    await this.server.query(CREATE_WRITER_TABLE);
    const [[sequence] = []] = await this.server.query(
      `insert into understudy_e2e(run, sequence) select '${HAND_WRITTEN}', (random() * 1e12)::bigint returning sequence`,
    );
    return { sequence: Number(sequence) };
  }

  async writeMuch(): Promise<void> {
    await this.server.query(MUCH, PATIENCE.withinMs);
    await this.server.shows(
      'what its standby lacks',
      PATIENCE,
      ({ database }) => (database.lagBytes ?? 0) > LOW_LAG_BYTES,
    );
  }

  async holds({ sequence }: RealRow): Promise<boolean> {
    const sql = `select 1 from understudy_e2e where run = '${HAND_WRITTEN}' and sequence = ${sequence}`;
    return (await this.server.query(sql)).length > 0;
  }

  async hasSetAside(): Promise<boolean> {
    await this.server.refreshHistory();
    return this.server.history
      .eventsSinceMark()
      .flatMap(({ message }) => message.match(/\/\S*set-aside\/[^\s"',;)]+/g) ?? [])
      .some((path) => existsSync(path.replace(/[.:]$/, '')));
  }

  private get databaseDirectory(): string {
    return join(this.server.dataDirectory, 'postgresql');
  }

  private get backupDirectory(): string {
    return join(this.server.host.directory, 'backup');
  }

  /** With owners and modes. */
  private async replaceDirectory(place: string, source: string): Promise<void> {
    const script = 'rm -rf "$1" && cp -a "$2" "$1"';
    const { code, output } = await this.server.host.run(['sh', '-c', script, 'sh', place, source]);
    if (code !== 0) throw new Error(`${source} is not copied to ${place}: ${output}`);
  }

  private freeze(isMeant: (process: NamespaceProcess) => boolean): void {
    const { host } = this.server;
    this.frozen = host
      .processes()
      .filter(isMeant)
      .map(({ pid }) => pid);
    if (this.frozen.length === 0) throw new Error('there is nothing to freeze');
    // a backend may end while the others are being frozen
    for (const pid of this.frozen) if (host.processes().some((process) => process.pid === pid)) host.freeze(pid);
  }

  /** What was frozen goes on, unless it was killed meanwhile. */
  private thaw(): void {
    const { host } = this.server;
    const alive = new Set(host.processes().map(({ pid }) => pid));
    for (const pid of this.frozen) if (alive.has(pid)) host.thaw(pid);
    this.frozen = [];
  }

  private async removeOnCommandLine(): Promise<void> {
    const { code, output } = await this.server.commandLine(['ha', 'remove', '--yes'], PATIENCE.withinMs);
    if (code !== 0) throw new Error(`ha remove: ${output}`);
  }

  private requestFor(order: Order): Request {
    const peer = this.server === this.pair.primary ? this.pair.secondary : this.pair.primary;
    const { name } = peer.description;
    switch (order.kind) {
      case 'register':
        return { method: 'PUT', path: '/ha/configuration', body: this.pair.registration(this.failoverType) };
      case 'replace-primary': {
        const body = { ...this.pair.registration(this.failoverType), replacePrimary: true, confirmed: true };
        return { method: 'PUT', path: '/ha/configuration', body };
      }
      case 'remove':
        return { method: 'DELETE', path: '/ha/configuration', body: order.confirmed ? { confirm: name } : {} };
      case 'activate-alone':
        return post(order.kind, { confirm: name, acceptDataLoss: order.acceptDataLoss });
      case 'failover':
      case 'failback': {
        const { kind, ...body } = order;
        return post(kind, body);
      }
      case 'forced-failover':
        return post(order.kind, {});
    }
  }
}

function post(kind: Order['kind'], body: object): Request {
  return { method: 'POST', path: `/ha/${kind}`, body };
}
