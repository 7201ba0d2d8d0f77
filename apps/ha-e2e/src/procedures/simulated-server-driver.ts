import assert from 'node:assert/strict';
import { actionRefusal, HA_STATE_LABELS, type HaEvent } from '@understudy/ha-core';
import type { DatabaseBackup, SimulatedPair, SimulatedServer } from '@understudy/simulation';
import type { FailoverType } from '../real-pair/real-pair.ts';
import type { Order, ServerDriver } from './driver.ts';
import type { StateLabel } from './state-sequences.ts';

/** Longest time that an order, a copy or a catch-up takes, in simulated seconds. */
export const PATIENCE_SECONDS = 120;
/** Longest time that a state takes to be reached unless told, in simulated seconds. */
export const REACH_SECONDS = 60;
/** More than the variant allows a standby to lack. */
const MUCH_WRITES = 40;

/** A row of the simulated client: where it is in the log. */
interface SimulatedRow {
  readonly timeline: number;
  readonly position: number;
}

/** Plays its part of a telling on a simulated server. */
export class SimulatedServerDriver implements ServerDriver {
  private marked = 0;
  private cursor = 0;
  private orders = 0;
  private setAsideAtMark = 0;
  private rulesAtMark = 0;
  private backup: DatabaseBackup | null = null;

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

  /** A simulated server has no name. */
  async start(_name?: string): Promise<void> {
    this.server.boot();
  }

  async reinstall(): Promise<void> {
    this.pair.reinstall(this.server);
  }

  async failProcess(): Promise<void> {
    this.server.broken = true;
    this.server.processesRunning = false;
  }

  async mendProcess(): Promise<void> {
    this.server.broken = false;
  }

  async failDatabase(): Promise<void> {
    this.server.database.isUnstartable = true;
    this.server.database.die();
  }

  async mendDatabase(): Promise<void> {
    this.server.database.isUnstartable = false;
  }

  async cutStream(): Promise<void> {
    this.pair.cut(['primary', 'secondary'], ['replication']);
  }

  async healStream(): Promise<void> {
    this.pair.heal();
  }

  async stallStream(): Promise<void> {
    this.server.database.stallStream();
  }

  async freeStream(): Promise<void> {
    this.server.database.freeStream();
  }

  async holdPromotion(): Promise<void> {
    this.server.database.isPromotionHeld = true;
  }

  async freePromotion(): Promise<void> {
    this.server.database.isPromotionHeld = false;
  }

  async failCopies(): Promise<void> {
    this.server.database.failsCopies = true;
  }

  async endCopyFailures(): Promise<void> {
    this.server.database.failsCopies = false;
  }

  async backUp(): Promise<void> {
    this.backup = this.server.database.backUp();
  }

  async restore(): Promise<void> {
    assert.ok(this.backup !== null, 'there is no backup');
    this.server.database.restore(this.backup);
  }

  async reaches(state: StateLabel, withinSeconds = REACH_SECONDS): Promise<void> {
    const next = () => this.states.indexOf(state, this.cursor + 1);
    await this.pair.until(() => next() >= 0, withinSeconds);
    this.cursor = next();
  }

  async serves(): Promise<void> {
    await this.pair.until(() => this.server.serving, PATIENCE_SECONDS);
  }

  async missesPeer(): Promise<void> {
    const { server } = this;
    await this.pair.until(() => server.view !== null && server.view.link !== 'up', REACH_SECONDS);
  }

  async decidesBy(rule: string): Promise<void> {
    await this.pair.until(() => this.server.rules.includes(rule, this.rulesAtMark), PATIENCE_SECONDS);
  }

  async canBePaired(): Promise<void> {
    const { server } = this;
    await this.pair.until(() => server.record.state === 'ha-not-configured' && !server.isPaired, REACH_SECONDS);
  }

  async offers(kind: Order['kind']): Promise<void> {
    const isOffered = () => {
      const { view } = this.server;
      return (
        view !== null &&
        actionRefusal(view, `operator-${kind === 'replace-primary' ? 'register' : kind}`, this.pair.clock.nowMs) ===
          null
      );
    };
    await this.pair.until(isOffered, REACH_SECONDS);
  }

  async order(order: Order): Promise<void> {
    const { event, operationId } = this.eventOf(order);
    const { refusal } = await this.server.feed(event);
    assert.equal(refusal, null, `${order.kind} is refused: ${refusal}`);
    await this.pair.until(() => this.server.record.operation?.id !== operationId, PATIENCE_SECONDS);
  }

  async begin(order: Order): Promise<void> {
    const { refusal } = await this.server.feed(this.eventOf(order).event);
    assert.equal(refusal, null, `${order.kind} is refused: ${refusal}`);
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

  async writeMuch(): Promise<void> {
    for (let write = 0; write < MUCH_WRITES; write++) this.server.database.write();
  }

  async holds({ timeline, position }: SimulatedRow): Promise<boolean> {
    return this.server.database.holds(timeline, position);
  }

  async hasSetAside(): Promise<boolean> {
    return this.server.database.setAsideWrites > this.setAsideAtMark;
  }

  /** Another machine is in this place: it has been in no state but its first one. */
  beginsAnew(): void {
    this.server.history.length = 0;
    this.mark();
  }

  /** The present state is the first of what sinceMark() returns. */
  mark(): void {
    this.marked = this.states.length - 1;
    this.cursor = this.marked;
    this.rulesAtMark = this.server.rules.length;
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
      case 'replace-primary': {
        const order = { pairId: operationId, failoverType: this.failoverType, replacesPrimary: true, confirmed: true };
        return { type: 'operator-register', operationId, ...order };
      }
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
