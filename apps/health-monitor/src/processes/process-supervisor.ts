import type { ProcessView } from '@understudy/contracts';
import type { ApplicationProcesses } from '../ports/application-processes.port.ts';
import type { ExecProcess } from './exec-process.ts';

/** A process whose adapter is not there yet. */
export interface UnavailableProcess {
  readonly name: string;
  readonly adapter: 'systemd' | 'docker';
  readonly critical: boolean;
}

/** All processes of the application on this server. */
export class ProcessSupervisor implements ApplicationProcesses {
  constructor(
    private readonly processes: readonly ExecProcess[],
    private readonly unavailable: readonly UnavailableProcess[],
  ) {}

  /** Starts what runs on the active server; what it needs on both was started before. Rejects when a critical one does not get ready. */
  async startAll(_epoch: number): Promise<void> {
    const started = await Promise.allSettled(this.processes.map((process) => process.start()));
    const failed = started.flatMap((result, index) =>
      result.status === 'rejected' && this.processes[index]?.configuration.critical ? [String(result.reason)] : [],
    );
    if (failed.length > 0) throw new Error(failed.join('; '));
  }

  /** Stops everything that may only run on the active server; resolves when nothing of it is alive. */
  async stopAll(): Promise<void> {
    await Promise.all(
      this.processes.filter(({ configuration }) => configuration.runsOn === 'active').map((process) => process.stop()),
    );
  }

  /** Starts what runs on both servers, whatever their roles are. */
  startStandbyProcesses(): void {
    for (const process of this.processes) {
      if (process.configuration.runsOn === 'both') void process.start().catch(() => undefined);
    }
  }

  /** The whole server goes down. */
  async stopEverything(): Promise<void> {
    await Promise.all(this.processes.map((process) => process.stop()));
  }

  /** Only this manager goes: the processes run on. */
  release(): void {
    for (const process of this.processes) process.release();
  }

  views(): ProcessView[] {
    return [
      ...this.processes.map((process) => process.view()),
      ...this.unavailable.map(
        ({ name, adapter, critical }): ProcessView => ({
          name,
          adapter,
          state: 'disabled',
          pid: null,
          since: null,
          restarts: 0,
          critical,
          reason: `the ${adapter} adapter is not yet available`,
        }),
      ),
    ];
  }
}
