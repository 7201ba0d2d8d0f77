import { join } from 'node:path';
import type { ProcessConfiguration, ServiceEnvironment } from '@understudy/platform';
import { ExecProcess, type ProcessListener } from './exec-process.ts';
import { endAll } from './process-group.ts';
import { fileNameOf, ProcessRecords } from './process-record.ts';
import { ProcessSupervisor } from './process-supervisor.ts';
import { marksPresent, membersOf } from './process-table.ts';

export { ProcessSupervisor } from './process-supervisor.ts';

/** Who is told about the application's processes. */
export interface ProcessListeners {
  /** A critical process cannot be restarted: this server has failed. Once, until it recovers or is stopped. */
  onCriticalFailure(name: string, reason: string): void;
  /** It runs again, and no other critical process has failed. */
  onRecovered(name: string): void;
  onEvent(severity: 'info' | 'warning' | 'critical', message: string): void;
}

const LEFTOVER_GRACE_MS = 10_000;
/** Of our own environment these mean nothing to the application, or would mislead it. */
const OURS = /^(UNDERSTUDY_|NODE_|npm_)/;

/**
 * The processes of this server's configuration: those that still run are adopted, those that run on both servers are started, and what
 * is left of processes that are not configured any more is stopped. What it does not know how to run yet is shown as disabled, with an
 * event.
 */
export function makeProcesses(env: ServiceEnvironment, listeners: ProcessListeners): ProcessSupervisor {
  const { configuration, paths, clock, logger } = env;
  const records = new ProcessRecords(join(paths.run, 'processes'));
  const environment = applicationEnvironment(env);
  const markOf = (name: string) => `${paths.dataDirectory}|${name}`;
  const failed = new Set<string>();
  const processes = configuration.processes
    .filter(({ command }) => command !== undefined)
    .map((process) => {
      const surroundings = {
        records,
        logFile: join(paths.logs, 'processes', `${fileNameOf(process.name)}.log`),
        mark: markOf(process.name),
        environment,
      };
      return new ExecProcess(process, surroundings, clock, logger, listenerOf(process, listeners, failed));
    });

  const unavailable = configuration.processes
    .filter(({ command }) => command === undefined)
    .map(({ name, unit, critical }) => ({
      name,
      critical,
      adapter: unit === undefined ? ('docker' as const) : ('systemd' as const),
    }));
  for (const { name, adapter } of unavailable)
    listeners.onEvent('warning', `${name}: the ${adapter} adapter is not yet available; this process is not run`);

  const supervisor = new ProcessSupervisor(processes, unavailable);
  supervisor.adopt();
  supervisor.startStandbyProcesses();
  const configured = new Set(processes.map((process) => process.configuration.name));
  void endLeftovers(records, markOf(''), configured, listeners);
  return supervisor;
}

/** What every process of the application is told about where it runs. */
function applicationEnvironment({ configuration, paths }: ServiceEnvironment): NodeJS.ProcessEnv {
  const inherited = Object.entries(process.env).filter(([name]) => !OURS.test(name));
  return {
    ...Object.fromEntries(inherited),
    PGHOST: paths.sockets,
    PGPORT: String(configuration.ports.database),
    PGUSER: 'postgres',
    UNDERSTUDY_NODE_NAME: configuration.node.name,
    UNDERSTUDY_NODE_ADDRESS: configuration.node.address,
  };
}

function listenerOf(
  { name, critical }: ProcessConfiguration,
  listeners: ProcessListeners,
  failed: Set<string>,
): ProcessListener {
  if (!critical) {
    return {
      onExhausted: (reason) => listeners.onEvent('warning', `${name} cannot be restarted: ${reason}`),
      onRecovered: () => listeners.onEvent('info', `${name} runs again`),
      onEvent: (severity, message) => listeners.onEvent(severity, message),
    };
  }
  return {
    onExhausted: (reason) => {
      failed.add(name);
      listeners.onCriticalFailure(name, reason);
    },
    onRecovered: () => {
      failed.delete(name);
      if (failed.size === 0) listeners.onRecovered(name);
      else listeners.onEvent('info', `${name} runs again`);
    },
    onStopped: () => failed.delete(name),
    onEvent: (severity, message) => listeners.onEvent(severity, message),
  };
}

/** Stops what runs under our mark or record without being configured. */
async function endLeftovers(
  records: ProcessRecords,
  markPrefix: string,
  configured: ReadonlySet<string>,
  listeners: ProcessListeners,
): Promise<void> {
  const recorded = new Map(records.all().map((record) => [record.name, record]));
  const names = new Set([...recorded.keys(), ...marksPresent(markPrefix)].filter((name) => !configured.has(name)));
  for (const name of names) {
    const find = () => membersOf(markPrefix + name, recorded.get(name) ?? null, false);
    if (find().length > 0)
      listeners.onEvent('warning', `${name} is not configured any more: what is left of it is stopped`);
    await endAll(find, LEFTOVER_GRACE_MS).then(
      () => records.remove(name),
      (error: unknown) => listeners.onEvent('critical', `${name}: ${String(error)}`),
    );
  }
}
