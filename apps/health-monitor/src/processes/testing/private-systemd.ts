import { type ChildProcess, spawn } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { Systemctl } from '../systemctl.ts';
import type { UnitPlaces } from '../unit-files.ts';

const PROGRAM = '/usr/lib/systemd/systemd';
const START_LIMIT_MS = 15_000;
/** Version 1 beside 2, version 2 alone. */
const HIERARCHIES = ['/sys/fs/cgroup/systemd', '/sys/fs/cgroup/unified', '/sys/fs/cgroup'].filter((directory) =>
  existsSync(join(directory, 'cgroup.procs')),
);

/** Whether a real systemd can be run here beside the system's own: as root, with control groups of its own. */
export function systemdIsAvailable(): boolean {
  if (process.getuid?.() !== 0 || !existsSync(PROGRAM) || HIERARCHIES.length === 0) return false;
  const probe = join(HIERARCHIES[0] as string, `understudy-probe-${process.pid}`);
  try {
    mkdirSync(probe);
    rmdirSync(probe);
    return true;
  } catch {
    return false;
  }
}

/** A systemd that knows only its own directory of units: a manager of user units, which needs no machine of its own to boot. */
export class PrivateSystemd {
  readonly directory = mkdtempSync(join(tmpdir(), 'systemd-'));
  readonly places: UnitPlaces = { units: join(this.directory, 'units'), permits: join(this.directory, 'permits') };
  readonly systemctl = new Systemctl(['env', `XDG_RUNTIME_DIR=${join(this.directory, 'run')}`, 'systemctl', '--user']);
  private manager: ChildProcess | null = null;
  private said = '';

  constructor() {
    for (const name of ['run', 'units', 'permits']) mkdirSync(join(this.directory, name), { mode: 0o700 });
    for (const target of ['default', 'basic', 'shutdown'])
      writeFileSync(join(this.places.units, `${target}.target`), '[Unit]\nDescription=Nothing\n');
  }

  /** Starts it, as a boot does: permits are gone then. */
  async boot(): Promise<void> {
    rmSync(this.places.permits, { recursive: true, force: true });
    rmSync(join(this.directory, 'run'), { recursive: true, force: true });
    mkdirSync(join(this.directory, 'run'), { mode: 0o700 });
    for (const group of this.groups) mkdirSync(group, { recursive: true });
    const environment = {
      PATH: process.env.PATH,
      HOME: this.directory,
      XDG_RUNTIME_DIR: join(this.directory, 'run'),
      SYSTEMD_UNIT_PATH: this.places.units,
    };
    const joinGroups = this.groups.map((group) => `echo $$ > ${group}/cgroup.procs`).join('; ');
    // a user manager runs only where the system was booted with systemd, or looks so
    const script = `${joinGroups}; mount -t tmpfs tmpfs /run && mkdir -p /run/systemd/system && exec ${PROGRAM} --user --log-target=console`;
    this.manager = spawn('unshare', ['--mount', 'sh', '-c', script], {
      env: environment,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    for (const stream of [this.manager.stdout, this.manager.stderr])
      stream?.on('data', (data) => {
        this.said += String(data);
      });
    const endMs = performance.now() + START_LIMIT_MS;
    while (!(await this.systemctl.run(['show', '-p', 'Version']).catch(() => ''))) {
      if (performance.now() > endMs) throw new Error(`systemd has not come up:\n${this.said}`);
      await delay(50);
    }
  }

  /** Adds a unit, as an operator does. */
  async unit(name: string, text: string): Promise<void> {
    writeFileSync(join(this.places.units, name), text);
    await this.systemctl.run(['daemon-reload']);
  }

  /** It is started at boot, as `systemctl enable` has it. */
  enable(name: string): void {
    const wanted = join(this.places.units, 'default.target.wants');
    mkdirSync(wanted, { recursive: true });
    symlinkSync(join(this.places.units, name), join(wanted, name));
  }

  /** Cuts its power: the manager and all that it has started. */
  async powerOff(): Promise<void> {
    const endMs = performance.now() + START_LIMIT_MS;
    for (let pids = this.pids(); pids.length > 0 && performance.now() < endMs; pids = this.pids()) {
      for (const pid of pids) kill(pid);
      await delay(20);
    }
    for (const group of this.groups) removeGroups(group);
  }

  async destroy(): Promise<void> {
    await this.powerOff();
    rmSync(this.directory, { recursive: true, force: true });
  }

  private get groups(): string[] {
    return HIERARCHIES.map((hierarchy) => join(hierarchy, `understudy-${basename(this.directory)}`));
  }

  private pids(): number[] {
    return this.groups.flatMap(pidsBelow);
  }
}

function pidsBelow(group: string): number[] {
  if (!existsSync(group)) return [];
  const own = readFileSync(join(group, 'cgroup.procs'), 'utf8').split('\n').filter(Boolean).map(Number);
  return [...own, ...childrenOf(group).flatMap(pidsBelow)];
}

function removeGroups(group: string): void {
  for (const child of childrenOf(group)) removeGroups(child);
  if (existsSync(group)) rmdirSync(group);
}

function childrenOf(group: string): string[] {
  if (!existsSync(group)) return [];
  return readdirSync(group, { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map(({ name }) => join(group, name));
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // gone meanwhile
  }
}
