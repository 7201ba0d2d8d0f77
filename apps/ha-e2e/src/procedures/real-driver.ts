import { pause } from '../real-pair/deadline.ts';
import { DATABASE_SECTION } from '../real-pair/node-configuration.ts';
import type { FailoverType, RealPair } from '../real-pair/real-pair.ts';
import type { ClientDriver, PairDriver, ServerDriver } from './driver.ts';
import { LOW_LAG_BYTES, PATIENCE, RealServerDriver } from './real-server-driver.ts';
import type { ProcedureId } from './state-sequences.ts';

const SERVED = { withinMs: 10_000 };

/** The configuration of a pair with low limits: seconds of absence and little lag count as hours and much do with the defaults. */
export const LOW_LIMITS = {
  failover: { minimumSecondsBetween: 0, maximumLagBytes: LOW_LAG_BYTES },
  database: { ...DATABASE_SECTION, retentionHours: 0.002 },
} as const;
const RETENTION_MS = 8000;

/** Plays tellings on two running servers of the product. */
export class RealPairDriver implements PairDriver {
  primary: RealServerDriver;
  readonly secondary: RealServerDriver;

  constructor(
    private readonly pair: RealPair,
    private readonly failoverType: FailoverType,
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

  async inSync(): Promise<void> {
    await this.pair.inSync(PATIENCE);
    await this.recordsIt();
  }

  async inSyncSwapped(): Promise<void> {
    await this.pair.inSyncSwapped(PATIENCE);
    await this.recordsIt();
  }

  async bringNewPrimary(): Promise<void> {
    this.pair.bringNewPrimary();
    this.primary = new RealServerDriver(this.pair, this.pair.primary, this.failoverType);
    await this.primary.canBePaired();
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

  retentionPasses(): Promise<void> {
    return pause(RETENTION_MS);
  }

  mark(): Promise<void> {
    return this.pair.mark();
  }

  conformsTo(procedure: ProcedureId): Promise<void> {
    return this.pair.conformsTo(procedure);
  }

  /** What was made to fail on the way fails no longer: the next telling is played on hosts of the same names. */
  async close(): Promise<void> {
    for (const server of [this.primary, this.secondary]) await server.endCopyFailures();
  }

  /** One that dies before it has would not know how long it was away. */
  private async recordsIt(): Promise<void> {
    for (const server of this.pair.servers) await server.recordsThatItIsInSync(PATIENCE);
  }
}
