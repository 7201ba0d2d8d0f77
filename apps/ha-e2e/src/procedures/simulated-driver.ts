import assert from 'node:assert/strict';
import { actionRefusal, HA_STATE_LABELS, type HaEvent } from '@understudy/ha-core';
import { SimulatedPair, type SimulatedServer } from '@understudy/simulation';
import type { FailoverType } from '../real-pair/real-pair.ts';
import { differencesFrom } from './conformance.ts';
import type { ClientDriver, Order, PairDriver, ServerDriver } from './driver.ts';
import type { ProcedureId, StateLabel } from './state-sequences.ts';

/** Longest time that an order, a copy or a catch-up takes, in simulated seconds. */
const PATIENCE_SECONDS = 120;
/** Longest time that a state takes to be reached unless told, in simulated seconds. */
const REACH_SECONDS = 60;
/** For what is measured once a second to be known everywhere. */
const MEASURED_SECONDS = 3;

/** A row of the simulated client: where it is in the log. */
interface SimulatedRow {
  readonly timeline: number;
  readonly position: number;
}

/** Plays tellings on the production host, interpreter and decisions, on a virtual clock. */
export class SimulatedPairDriver implements PairDriver {
  readonly primary: SimulatedServerDriver;
  readonly secondary: SimulatedServerDriver;

  private constructor(
    private readonly pair: SimulatedPair,
    failoverType: FailoverType,
  ) {
    this.primary = new SimulatedServerDriver(pair, pair.primary, failoverType);
    this.secondary = new SimulatedServerDriver(pair, pair.secondary, failoverType);
  }

  /** A new pair that protects itself. */
  static async inSync(failoverType: FailoverType): Promise<SimulatedPairDriver> {
    const pair = new SimulatedPair(1);
    const driver = new SimulatedPairDriver(pair, failoverType);
    await pair.register(failoverType);
    await driver.inSync();
    await driver.mark();
    return driver;
  }

  async cutLink(): Promise<void> {
    this.pair.cut();
  }

  async healLink(): Promise<void> {
    this.pair.heal();
  }

  async inSync(): Promise<void> {
    await this.settles('primary-active / secondary-syncing');
    await this.secondary.offers('forced-failover');
  }

  async inSyncSwapped(): Promise<void> {
    await this.settles('primary-syncing / secondary-active');
    await this.secondary.offers('failback');
  }

  /** The simulated client writes from the beginning; it is the pair's. */
  async startClient(): Promise<ClientDriver> {
    const { pair } = this;
    return {
      async isServed() {
        await pair.until(() => pair.servers.some((server) => server.serving), REACH_SECONDS);
      },
      async lostOn(server: ServerDriver) {
        await pair.run(MEASURED_SECONDS);
        return pair.missingOn((server as SimulatedServerDriver).server);
      },
    };
  }

  async mark(): Promise<void> {
    this.primary.mark();
    this.secondary.mark();
  }

  async conformsTo(procedure: ProcedureId): Promise<void> {
    const observed = { primary: this.primary.sinceMark(), secondary: this.secondary.sinceMark() };
    assert.deepEqual(differencesFrom(procedure, observed), []);
  }

  private async settles(states: string): Promise<void> {
    const { pair } = this;
    await pair.until(() => pair.states === states && pair.primary.streaming, PATIENCE_SECONDS);
    await pair.run(MEASURED_SECONDS);
  }
}

class SimulatedServerDriver implements ServerDriver {
  private marked = 0;
  private cursor = 0;
  private orders = 0;
  private setAsideAtMark = 0;

  constructor(
    private readonly pair: SimulatedPair,
    readonly server: SimulatedServer,
    private readonly failoverType: FailoverType,
  ) {}

  async powerOff(): Promise<void> {
    this.server.crash();
  }

  async powerOn(): Promise<void> {
    this.server.boot();
  }

  async stop(): Promise<void> {
    this.server.shutDown();
    await this.pair.until(() => !this.server.up, PATIENCE_SECONDS);
  }

  async start(): Promise<void> {
    this.server.boot();
  }

  async failProcess(): Promise<void> {
    this.server.broken = true;
    this.server.processesRunning = false;
  }

  async mendProcess(): Promise<void> {
    this.server.broken = false;
  }

  async reaches(state: StateLabel, withinSeconds = REACH_SECONDS): Promise<void> {
    const next = () => this.states.indexOf(state, this.cursor + 1);
    await this.pair.until(() => next() >= 0, withinSeconds);
    this.cursor = next();
  }

  async offers(kind: Order['kind']): Promise<void> {
    const isOffered = () => {
      const { view } = this.server;
      return view !== null && actionRefusal(view, `operator-${kind}`, this.pair.clock.nowMs) === null;
    };
    await this.pair.until(isOffered, REACH_SECONDS);
  }

  async order(order: Order): Promise<void> {
    const { event, operationId } = this.eventOf(order);
    const { refusal } = await this.server.feed(event);
    assert.equal(refusal, null, `${order.kind} is refused: ${refusal}`);
    await this.pair.until(() => this.server.record.operation?.id !== operationId, PATIENCE_SECONDS);
  }

  async refusal(order: Order): Promise<string> {
    const { refusal } = await this.server.feed(this.eventOf(order).event);
    assert.notEqual(refusal, null, `${order.kind} is not refused`);
    return refusal ?? '';
  }

  async runsApplication(): Promise<boolean> {
    return this.server.up && this.server.processesRunning;
  }

  async write(): Promise<SimulatedRow> {
    const { server, pair } = this;
    await pair.until(() => server.serving, REACH_SECONDS);
    return { timeline: server.database.write(), position: server.database.end };
  }

  async holds({ timeline, position }: SimulatedRow): Promise<boolean> {
    return this.server.database.holds(timeline, position);
  }

  async hasSetAside(): Promise<boolean> {
    return this.server.database.setAsideWrites > this.setAsideAtMark;
  }

  /** The present state is the first of what sinceMark() returns. */
  mark(): void {
    this.marked = this.states.length - 1;
    this.cursor = this.marked;
    this.setAsideAtMark = this.server.database.setAsideWrites;
  }

  sinceMark(): StateLabel[] {
    return this.states.slice(this.marked);
  }

  /** The states in the order in which they were entered. */
  private get states(): StateLabel[] {
    return ['HA Not Configured', ...this.server.history.map((state) => HA_STATE_LABELS[state])];
  }

  private eventOf(order: Order): { readonly event: WithoutTime; readonly operationId: string } {
    const operationId = `${order.kind}-${this.server.role}-${++this.orders}`;
    return { event: this.eventWith(order, operationId), operationId };
  }

  private eventWith(order: Order, operationId: string): WithoutTime {
    switch (order.kind) {
      case 'register':
        return { type: 'operator-register', operationId, pairId: operationId, failoverType: this.failoverType };
      case 'failover':
      case 'activate-alone':
        return { type: `operator-${order.kind}`, operationId, acceptDataLoss: order.acceptDataLoss };
      case 'failback': {
        const { force = false, acceptDataLoss = false } = order;
        return { type: 'operator-failback', operationId, force, acceptDataLoss };
      }
      case 'remove':
        return { type: 'operator-remove', operationId, confirmed: order.confirmed ?? false, acceptDataLoss: false };
      case 'forced-failover':
        return { type: 'operator-forced-failover', operationId };
    }
  }
}

/** An event as the simulated server is told of it. */
type WithoutTime = HaEvent extends infer E ? (E extends HaEvent ? Omit<E, 'atMs'> : never) : never;
