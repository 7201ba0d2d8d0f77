import type { ProcessView } from '@understudy/contracts';
import { EffectError } from '@understudy/ha-runtime';
import { inSpan } from '@understudy/telemetry';
import type { ApplicationProcesses } from '../ports/application-processes.port.ts';
import type { ManagedProcess } from './managed-process.ts';
import { abortion } from './process-life.ts';

/** A process as configured, whether it is run or switched off. */
export interface ConfiguredProcess {
  readonly name: string;
  readonly adapter: ProcessView['adapter'];
  readonly critical: boolean;
}

/** When one process takes longer to stop, those it was started after are asked to stop too. */
const STOP_STAGGER_MS = 2000;

/** All processes of the application on this server. They are started in the configuration's order and stopped in the reverse one. */
export class ProcessSupervisor implements ApplicationProcesses {
  private highestEpoch = 0;
  /** Grows with each stop: a start that is under way gives up. */
  private generation = 0;

  constructor(
    private readonly processes: readonly ManagedProcess[],
    /** In the order of the configuration; what is not among `processes` is switched off. */
    private readonly configured: readonly ConfiguredProcess[],
  ) {}

  /** Takes over what an earlier manager has left running, and keeps from running what may not; to be called before anything else. */
  adopt(): void {
    for (const process of this.processes) {
      process.adopt();
      process.keepStopped();
    }
  }

  /**
   * Starts what runs on the active server, in order; resolves when every critical one does its work. Safe to repeat. Rejects with
   * `EffectError`: `process-failed` when a critical one does not get ready, `superseded` when it is stopped or the signal is aborted
   * meanwhile, `stale-epoch`.
   */
  async startAll(epoch: number, signal: AbortSignal): Promise<void> {
    if (epoch < this.highestEpoch)
      throw new EffectError(
        'stale-epoch',
        `epoch ${epoch} is lower than ${this.highestEpoch}: processes are not started`,
      );
    this.highestEpoch = epoch;
    const { generation } = this;
    const isSuperseded = () => signal.aborted || generation !== this.generation;
    const aborted = abortion(signal);
    for (const process of this.processes) {
      if (isSuperseded()) throw new EffectError('superseded', 'a later decision came');
      const attributes = { 'understudy.process': process.configuration.name };
      const started = inSpan('start process', { attributes }, () => process.start());
      // Of others nobody waits for: what becomes of them is told in events.
      started.catch(() => undefined);
      if (!process.configuration.critical) continue;
      await Promise.race([started, aborted]).catch((error: Error) => {
        if (!isSuperseded()) throw new EffectError('process-failed', error.message);
      });
    }
    if (isSuperseded()) throw new EffectError('superseded', 'a later decision came');
  }

  /** Stops everything that may only run on the active server; resolves when nothing of it is alive. Rejects when something cannot be killed. */
  async stopAll(): Promise<void> {
    await this.stop(this.processes.filter(({ configuration }) => configuration.runsOn === 'active'));
  }

  /** Kills everything that may only run on the active server, without grace and without an order. */
  async killAll(): Promise<void> {
    this.generation += 1;
    const active = this.processes.filter(({ configuration }) => configuration.runsOn === 'active');
    const failed = (await Promise.allSettled(active.map((process) => process.kill()))).filter(
      ({ status }) => status === 'rejected',
    );
    if (failed.length > 0) throw new EffectError('process-not-stopped', `${failed.length} processes cannot be killed`);
  }

  /** Starts what runs on both servers, whatever their roles are. */
  startStandbyProcesses(): void {
    for (const process of this.processes) {
      if (process.configuration.runsOn === 'both') void process.start().catch(() => undefined);
    }
  }

  /** The whole server goes down: stops what runs on both servers too. */
  async stopEverything(): Promise<void> {
    await this.stop(this.processes);
  }

  /** Only this manager goes: the processes run on, and the next manager adopts them. */
  async release(): Promise<void> {
    this.generation += 1;
    await Promise.all(this.processes.map((process) => process.release()));
  }

  /** All processes of the configuration. */
  views(): ProcessView[] {
    return this.configured.map(({ name, adapter, critical }): ProcessView => {
      const running = this.processes.find(({ configuration }) => configuration.name === name);
      const off = {
        name,
        adapter,
        state: 'disabled',
        pid: null,
        since: null,
        restarts: 0,
        critical,
        reason: '',
      } as const;
      return running?.view() ?? off;
    });
  }

  private async stop(processes: readonly ManagedProcess[]): Promise<void> {
    this.generation += 1;
    const stops: Promise<void>[] = [];
    for (const process of processes.toReversed()) {
      const stop = process.stop();
      stops.push(stop);
      await Promise.race([stop.catch(() => undefined), pause(STOP_STAGGER_MS)]);
    }
    const failed = (await Promise.allSettled(stops)).flatMap((result) =>
      result.status === 'rejected' ? [String(result.reason)] : [],
    );
    if (failed.length > 0) throw new EffectError('process-not-stopped', failed.join('; '));
  }
}

const pause = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms).unref());
