import { existsSync } from 'node:fs';
import type { FailoverType, RealPair } from '../real-pair/real-pair.ts';
import type { UnderstudyServer } from '../real-pair/understudy-server.ts';
import { CREATE_WRITER_TABLE } from '../writer/writer.ts';
import type { ClientDriver, Order, PairDriver, ServerDriver } from './driver.ts';
import type { ProcedureId, StateLabel } from './state-sequences.ts';

const REACH_SECONDS = 60;
const PATIENCE = { withinMs: 90_000 };
const SERVED = { withinMs: 10_000 };
const HAND_WRITTEN = 'by-hand';

/** A row of the real table. */
interface RealRow {
  readonly sequence: number;
}

/** Plays tellings on two running servers of the product. */
export class RealPairDriver implements PairDriver {
  readonly primary: RealServerDriver;
  readonly secondary: RealServerDriver;

  constructor(
    private readonly pair: RealPair,
    failoverType: FailoverType,
  ) {
    this.primary = new RealServerDriver(pair, pair.primary, failoverType);
    this.secondary = new RealServerDriver(pair, pair.secondary, failoverType);
  }

  async cutLink(): Promise<void> {
    this.pair.primary.host.cutLink();
  }

  async healLink(): Promise<void> {
    this.pair.primary.host.healLink();
  }

  inSync(): Promise<void> {
    return this.pair.inSync(PATIENCE);
  }

  inSyncSwapped(): Promise<void> {
    return this.pair.inSyncSwapped(PATIENCE);
  }

  async startClient(): Promise<ClientDriver> {
    const { pair } = this;
    const writer = await pair.startWriter();
    return {
      isServed: () => writer.isWriting(SERVED),
      async lostOn(server: ServerDriver) {
        if (!(server instanceof RealServerDriver)) throw new Error('a server of another pair');
        return (await pair.finish(writer, server.server)).lost.length;
      },
    };
  }

  mark(): Promise<void> {
    return this.pair.mark();
  }

  conformsTo(procedure: ProcedureId): Promise<void> {
    return this.pair.conformsTo(procedure);
  }
}

class RealServerDriver implements ServerDriver {
  constructor(
    private readonly pair: RealPair,
    readonly server: UnderstudyServer,
    private readonly failoverType: FailoverType,
  ) {}

  async powerOff(): Promise<void> {
    this.server.die();
  }

  async powerOn(): Promise<void> {
    this.server.host.powerOn();
    this.server.boot();
  }

  stop(): Promise<void> {
    return this.server.stop(PATIENCE);
  }

  async start(): Promise<void> {
    this.server.boot();
  }

  async failProcess(): Promise<void> {
    this.pair.application.breakOn(this.server.host);
  }

  async mendProcess(): Promise<void> {
    this.pair.application.mendOn(this.server.host);
  }

  reaches(state: StateLabel, withinSeconds = REACH_SECONDS): Promise<void> {
    return this.server.reaches(state, { withinMs: withinSeconds * 1000 });
  }

  async offers(kind: Order['kind']): Promise<void> {
    await this.server.shows(`that ${kind} is possible`, PATIENCE, ({ availableActions }) =>
      availableActions.includes(kind),
    );
  }

  order(order: Order): Promise<void> {
    const { method, path, body } = this.requestFor(order);
    return this.server.perform(path, body, { ...PATIENCE, method });
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

  private requestFor(order: Order): { readonly method: string; readonly path: string; readonly body: object } {
    const confirm = this.server === this.pair.primary ? this.pair.secondary : this.pair.primary;
    const { name } = confirm.description;
    switch (order.kind) {
      case 'register':
        return { method: 'PUT', path: '/ha/configuration', body: this.pair.registration(this.failoverType) };
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

function post(
  kind: Order['kind'],
  body: object,
): { readonly method: string; readonly path: string; readonly body: object } {
  return { method: 'POST', path: `/ha/${kind}`, body };
}
