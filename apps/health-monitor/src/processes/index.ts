import { join } from 'node:path';
import type { ServiceEnvironment } from '@understudy/platform';
import { ExecProcess } from './exec-process.ts';
import { ProcessSupervisor } from './process-supervisor.ts';

export { ProcessSupervisor } from './process-supervisor.ts';

/** Who is told about the application's processes. */
export interface ProcessListeners {
  onCriticalFailure(name: string, reason: string): void;
  onRecovered(name: string): void;
  onEvent(severity: 'info' | 'warning' | 'critical', message: string): void;
}

/** The processes of this server's configuration. What it does not know how to run yet is shown as disabled, with an event. */
export function makeProcesses(env: ServiceEnvironment, listeners: ProcessListeners): ProcessSupervisor {
  const { configuration, paths, clock, logger } = env;
  const environment = {
    ...process.env,
    PGHOST: paths.sockets,
    PGPORT: String(configuration.ports.database),
    PGUSER: 'postgres',
    UNDERSTUDY_NODE_NAME: configuration.node.name,
    UNDERSTUDY_NODE_ADDRESS: configuration.node.address,
  };
  const runnable = configuration.processes.filter(({ command }) => command !== undefined);
  const unavailable = configuration.processes
    .filter(({ command }) => command === undefined)
    .map(({ name, unit, critical }) => ({
      name,
      critical,
      adapter: unit === undefined ? ('docker' as const) : ('systemd' as const),
    }));
  for (const { name, adapter } of unavailable)
    listeners.onEvent('warning', `${name}: the ${adapter} adapter is not yet available; this process is not run`);
  const processes = runnable.map((process) => {
    const file = process.name.replaceAll(/[^A-Za-z0-9-]/g, '_');
    const files = {
      pid: join(paths.run, 'processes', `${file}.pid`),
      log: join(paths.logs, 'processes', `${file}.log`),
    };
    return new ExecProcess(process, files, environment, clock, logger, {
      onExhausted: (reason) =>
        process.critical
          ? listeners.onCriticalFailure(process.name, reason)
          : listeners.onEvent('warning', `${process.name} cannot be restarted: ${reason}`),
      onRecovered: () =>
        process.critical
          ? listeners.onRecovered(process.name)
          : listeners.onEvent('info', `${process.name} runs again`),
      onEvent: (severity, message) => listeners.onEvent(severity, message),
    });
  });
  return new ProcessSupervisor(processes, unavailable);
}
