import { setTimeout as delay } from 'node:timers/promises';
import type { ProcessView } from '@understudy/contracts';
import {
  NodePaths,
  type ProcessConfiguration,
  type ServiceEnvironment,
  SILENT_LOGGER,
  SystemClock,
} from '@understudy/platform';
import { makeProcesses, type ProcessHosts, type ProcessSupervisor } from '../index.ts';

/** Managers of one server's processes, one after the other, and what they have told. */
export class Supervised {
  readonly told: string[] = [];
  private readonly supervisors: ProcessSupervisor[] = [];

  constructor(
    private readonly directory: string,
    private readonly hosts?: ProcessHosts,
  ) {}

  /** A manager of these processes; what is left out is as by default. */
  by(...processes: Partial<ProcessConfiguration>[]): ProcessSupervisor {
    const env = {
      configuration: {
        node: { name: 'alpha', address: '127.0.1.1' },
        ports: { database: 5544 },
        processes: processes.map((process) => ({ ...BY_DEFAULT, ...process })),
      },
      paths: new NodePaths(this.directory),
      clock: new SystemClock(),
      logger: SILENT_LOGGER,
    } as unknown as ServiceEnvironment;
    const { told } = this;
    const supervisor = makeProcesses(
      env,
      {
        onCriticalFailure: (name, reason) => told.push(`failed ${name}: ${reason}`),
        onRecovered: (name) => told.push(`recovered ${name}`),
        onEvent: (severity, message) => told.push(`${severity} ${message}`),
      },
      this.hosts,
    );
    this.supervisors.push(supervisor);
    return supervisor;
  }

  /** Nothing runs, and nobody watches any more. */
  async end(): Promise<void> {
    for (const supervisor of this.supervisors) {
      await supervisor.stopEverything().catch(() => undefined);
      await supervisor.release();
    }
  }
}

const BY_DEFAULT = {
  name: 'app',
  environment: {},
  critical: true,
  enabled: true,
  runsOn: 'active',
  stopSeconds: 10,
  restart: { attempts: 3, withinSeconds: 60, backoffSeconds: 0.05 },
} as const;

/** How a process is shown. */
export function viewOf(supervisor: ProcessSupervisor, name = 'app'): ProcessView {
  const found = supervisor.views().find((candidate) => candidate.name === name);
  if (!found) throw new Error(`no process ${name}`);
  return found;
}

/** It runs, as another process than the former. */
export function runsAnew(supervisor: ProcessSupervisor, former: number | null): boolean {
  const { state, pid } = viewOf(supervisor);
  return state === 'running' && pid !== former;
}

/** Waits for a condition, at most `limitMs`. */
export async function until(condition: () => boolean | Promise<boolean>, limitMs = 15_000): Promise<void> {
  const endMs = performance.now() + limitMs;
  while (!(await condition())) {
    if (performance.now() > endMs) throw new Error(`not within ${limitMs} ms: ${condition}`);
    await delay(10);
  }
}
