import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { freePort } from '@understudy/platform';
import { MeasuredSide } from './measured-side.ts';
import { CountingRelay } from './relay.ts';

/** What a measured piece of work has cost. */
export interface Cost {
  readonly seconds: number;
  /** Of the server that took more of it. */
  readonly cpuSeconds: number;
}

/** A pair whose active server has the files of a directory, and whose standby has nothing yet. */
export class MeasuredPair {
  private constructor(
    private readonly directory: string,
    readonly active: MeasuredSide,
    readonly standby: MeasuredSide,
  ) {}

  /** Starts both processes; the direction is not told yet. */
  static async open(directory: string, files: string): Promise<MeasuredPair> {
    const active = await MeasuredSide.open(directory, 'alpha', await freePort(), files);
    const standby = await MeasuredSide.open(directory, 'beta', await freePort(), join(directory, 'files'));
    active.onChanged = () => void standby.ask({ type: 'peer-changed' });
    await active.ask({ type: 'peer', peer: standby.identityAt() });
    await standby.ask({ type: 'peer', peer: active.identityAt() });
    return new MeasuredPair(directory, active, standby);
  }

  /** Tells the direction and waits until the standby has everything, the files looked at for the first time on both. */
  first(): Promise<Cost> {
    return this.costOf(async () => {
      await this.active.ask({ type: 'direction', direction: { way: 'sends', epoch: 1, reason: '' } });
      await this.standby.ask({ type: 'direction', direction: { way: 'fetches', epoch: 1, reason: '' } });
      for (;;) {
        const { view } = await this.standby.ask({ type: 'status' });
        if (view?.lastCompleteAt) return;
        if (view && view.errorCount > 0) throw new Error(`the standby says: ${JSON.stringify(view.errors[0])}`);
        await delay(10);
      }
    });
  }

  /** One run of the schedule: both servers look at everything, and what differs is fetched. */
  look(): Promise<Cost> {
    return this.costOf(() => this.standby.ask({ type: 'fetch' }));
  }

  /** Bytes that go over the connection, both ways, while everything is looked at and what differs is fetched. */
  async bytesOfLook(): Promise<number> {
    const relay = await CountingRelay.open(this.active.port);
    await this.standby.ask({ type: 'peer', peer: this.active.identityAt(relay.port) });
    await this.look();
    await this.standby.ask({ type: 'peer', peer: this.active.identityAt() });
    await relay.close();
    return relay.bytes;
  }

  async close(): Promise<void> {
    await Promise.all([this.active.close(), this.standby.close()]);
    rmSync(this.directory, { recursive: true, force: true });
  }

  private async costOf(work: () => Promise<unknown>): Promise<Cost> {
    const cpu = async () => {
      const used = await Promise.all([this.active, this.standby].map((side) => side.ask({ type: 'status' })));
      return used.map(({ cpuSeconds }) => cpuSeconds);
    };
    const before = await cpu();
    const begunAtMs = performance.now();
    await work();
    const seconds = (performance.now() - begunAtMs) / 1000;
    const used = (await cpu()).map((after, index) => after - (before[index] ?? 0));
    return { seconds, cpuSeconds: Math.max(...used) };
  }
}
