import { join } from 'node:path';
import {
  APPLICATION_MARK,
  fileNameOf,
  type ProcessConfiguration,
  ProcessRecords,
  type ServiceEnvironment,
} from '@understudy/platform';
import { DockerAdapter } from './docker.adapter.ts';
import { DockerEngine, engineSocket } from './docker-engine.ts';
import { ExecAdapter } from './exec.adapter.ts';
import { ManagedProcess, type ProcessListener } from './managed-process.ts';
import type { ProcessAdapter } from './process-adapter.ts';
import { endAll } from './process-group.ts';
import { ProcessSupervisor } from './process-supervisor.ts';
import { marksPresent, membersOf } from './process-table.ts';
import { Systemctl } from './systemctl.ts';
import { SystemdAdapter } from './systemd.adapter.ts';
import { releaseUnits, SYSTEM_PLACES, UnitFiles, type UnitPlaces } from './unit-files.ts';

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
const RELOAD_LIMIT_MS = 60_000;
/** Of our own environment these mean nothing to the application, or would mislead it. */
const OURS = /^(UNDERSTUDY_|NODE_|npm_)/;

/** How this machine's systemd and Docker engine are reached. */
export interface ProcessHosts {
  readonly systemctl: Systemctl;
  readonly units: UnitPlaces;
  readonly docker: DockerEngine;
}

/** What a process is started with, whichever adapter runs it. */
interface Surroundings {
  readonly mark: string;
  /** Our own words to it: where the database is, and where it runs. */
  readonly told: Readonly<Record<string, string>>;
}

/**
 * The processes of this server's configuration: those that still run are adopted, those that run on both servers are started, those that
 * may not run now are kept from it, and what is left of processes that are not configured any more is stopped.
 */
export function makeProcesses(
  env: ServiceEnvironment,
  listeners: ProcessListeners,
  hosts: ProcessHosts = systemHosts(),
): ProcessSupervisor {
  const { configuration, paths, clock, logger } = env;
  const records = new ProcessRecords(paths.processes);
  const markOf = (name: string) => `${paths.dataDirectory}|${name}`;
  const failed = new Set<string>();
  const enabled = configuration.processes.filter((process) => process.enabled);
  const processes = enabled.map((process) => {
    const mark = markOf(process.name);
    const told = { ...ourWords(env), ...process.environment, [APPLICATION_MARK]: mark };
    const adapter = adapterOf(process, { mark, told }, env, hosts);
    const means = { adapter, records, environment: { ...inherited(), ...told } };
    return new ManagedProcess(process, means, clock, logger, listenerOf(process, listeners, failed));
  });

  const supervisor = new ProcessSupervisor(
    processes,
    configuration.processes.map((process) => ({ ...process, adapter: adapterName(process) })),
  );
  supervisor.adopt();
  supervisor.startStandbyProcesses();
  const known = new Set(enabled.map(({ name }) => name));
  void endLeftovers(records, markOf(''), known, listeners).then(() => releaseLeftUnits(env, hosts, listeners));
  return supervisor;
}

function systemHosts(): ProcessHosts {
  return {
    systemctl: new Systemctl(),
    units: SYSTEM_PLACES,
    docker: new DockerEngine(engineSocket(process.env)),
  };
}

function adapterName({ command, unit }: ProcessConfiguration): ProcessAdapter['kind'] {
  if (command !== undefined) return 'exec';
  return unit === undefined ? 'docker' : 'systemd';
}

function adapterOf(
  configuration: ProcessConfiguration,
  { mark, told }: Surroundings,
  { paths, clock }: ServiceEnvironment,
  { systemctl, units, docker }: ProcessHosts,
): ProcessAdapter {
  const { name, command, unit, container, stopSeconds } = configuration;
  if (command !== undefined) {
    const logFile = join(paths.logs, 'processes', `${fileNameOf(name)}.log`);
    return new ExecAdapter(configuration, { logFile, mark, inherited: inherited(), told }, clock);
  }
  if (unit !== undefined) {
    const { dataDirectory } = paths;
    const files = new UnitFiles(units, unit, { dataDirectory, stopSeconds, environment: told });
    return new SystemdAdapter({ name: unit, stopSeconds, mark, files }, systemctl, clock);
  }
  return new DockerAdapter({ name: container ?? name, stopSeconds }, docker, clock);
}

/** What a command finds in its environment besides what it is told. */
function inherited(): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !OURS.test(name)));
}

/** What every process of the application is told about where it runs; a container knows only what it was made with. */
function ourWords({ configuration, paths }: ServiceEnvironment): Record<string, string> {
  return {
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

/** Units that are not configured any more are systemd's again. Never rejects. */
async function releaseLeftUnits(
  { configuration, paths }: ServiceEnvironment,
  { systemctl, units }: ProcessHosts,
  listeners: ProcessListeners,
): Promise<void> {
  const known = new Set(configuration.processes.flatMap(({ unit }) => unit ?? []));
  try {
    const released = releaseUnits(units, paths.dataDirectory, known);
    if (released.length === 0) return;
    await systemctl.run(['daemon-reload'], { limitMs: RELOAD_LIMIT_MS });
    for (const unit of released)
      listeners.onEvent('warning', `${unit} is not configured any more: systemd starts it again as it did before`);
  } catch (error) {
    listeners.onEvent('warning', `units that are not configured any more: ${String(error)}`);
  }
}
