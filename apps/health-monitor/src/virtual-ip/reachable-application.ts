import type { ProcessView } from '@understudy/contracts';
import type { ApplicationProcesses } from '../ports/application-processes.port.ts';
import type { VirtualIp } from './virtual-ip.ts';

/**
 * The application as its clients meet it: its processes, and the address by which they are reached. The address is there before the
 * processes are started, which may want to listen on it, and goes when they begin to be stopped.
 */
export class ReachableApplication implements ApplicationProcesses {
  constructor(
    private readonly processes: ApplicationProcesses,
    private readonly virtualIp: VirtualIp,
  ) {}

  async startAll(epoch: number, signal: AbortSignal): Promise<void> {
    await this.virtualIp.claim(epoch);
    await this.processes.startAll(epoch, signal);
  }

  /** At the same time: the processes are stopped also where the address cannot be removed. */
  async stopAll(): Promise<void> {
    await this.closing(() => this.processes.stopAll());
  }

  async killAll(): Promise<void> {
    await Promise.all([this.virtualIp.drop(), this.processes.killAll()]);
  }

  views(): ProcessView[] {
    return this.processes.views();
  }

  async stopEverything(): Promise<void> {
    await this.closing(() => this.processes.stopEverything());
  }

  async release(): Promise<void> {
    this.virtualIp.stop();
    await this.processes.release();
  }

  private async closing(stop: () => Promise<void>): Promise<void> {
    const results = await Promise.allSettled([this.virtualIp.release(), stop()]);
    for (const result of results) if (result.status === 'rejected') throw result.reason;
  }
}
