import assert from 'node:assert/strict';
import { RETENTION_SECONDS, SimulatedPair } from '@understudy/simulation';
import type { FailoverType } from '../real-pair/real-pair.ts';
import { differencesFrom } from './conformance.ts';
import type { ClientDriver, PairDriver, ServerDriver } from './driver.ts';
import { PATIENCE_SECONDS, REACH_SECONDS, SimulatedServerDriver } from './simulated-server-driver.ts';
import type { ProcedureId } from './state-sequences.ts';

/** For what is measured once a second to be known everywhere, in simulated seconds. */
const MEASURED_SECONDS = 3;

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

  async bringNewPrimary(): Promise<void> {
    this.pair.loseMachineOfPrimary();
    await this.primary.serves();
    // what takes its place has a history of its own
    this.primary.beginsAnew();
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

  async retentionPasses(): Promise<void> {
    await this.pair.run(RETENTION_SECONDS + 60);
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
