import { execFileSync, spawn } from 'node:child_process';
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { monotonicMs, pauseBlocking } from './deadline.ts';
import type { Host } from './host.ts';

const PROGRAM = '/usr/lib/systemd/systemd';
const PERMITS = '/run/understudy';
const UNITS = '/etc/systemd/system';
const START_LIMIT_MS = 15_000;
/** Version 1 beside 2, version 2 alone. */
const HIERARCHIES = ['/sys/fs/cgroup/systemd', '/sys/fs/cgroup/unified', '/sys/fs/cgroup'].filter((directory) =>
  existsSync(join(directory, 'cgroup.procs')),
);

/** Whether a real systemd can be run here for a host of the stage. */
export function hostSystemdIsAvailable(): boolean {
  return process.getuid?.() === 0 && existsSync(PROGRAM) && HIERARCHIES.length > 0;
}

/**
 * A real systemd for a host of the stage: a manager of user units, which needs no machine of its own to boot, and has control groups of
 * its own. What the host runs reaches it by `systemctl`, and finds its units and permits where those of a machine are.
 */
export class HostSystemd {
  constructor(private readonly host: Host) {}

  /** Boots it, as the host does; with what was enabled before. Throws when it has not come up in time. */
  boot(): void {
    for (const name of ['run', 'permits']) rmSync(this.at(name), { recursive: true, force: true });
    for (const name of ['run', 'permits', 'units']) mkdirSync(this.at(name), { recursive: true, mode: 0o700 });
    for (const target of ['default', 'basic', 'shutdown'])
      writeFileSync(join(this.at('units'), `${target}.target`), '[Unit]\nDescription=Nothing\n');
    this.showToHost();
    for (const group of this.groups) mkdirSync(group, { recursive: true });
    const script = [
      ...this.groups.map((group) => `echo $$ > ${group}/cgroup.procs`),
      // a user manager runs only where the system was booted with systemd, or looks so
      `mount -t tmpfs tmpfs /run && mkdir -p /run/systemd/system ${PERMITS}`,
      `mount --bind ${this.at('permits')} ${PERMITS}`,
      `exec ${PROGRAM} --user --log-target=console`,
    ].join(' && ');
    // not by "ip netns exec", which hides the control groups
    const words = [`--net=/run/netns/${this.host.namespace}`, 'unshare', '--mount', 'sh', '-c', script];
    const env = {
      ...this.host.environment(),
      XDG_RUNTIME_DIR: this.at('run'),
      SYSTEMD_UNIT_PATH: this.at('units'),
    };
    spawn('nsenter', words, { env, stdio: 'ignore', detached: true }).unref();
    for (const endMs = monotonicMs() + START_LIMIT_MS; this.systemctl('show', '-p', 'Version') === null; ) {
      if (monotonicMs() > endMs) throw new Error(`the systemd of ${this.host.name} has not come up`);
      pauseBlocking(50);
    }
  }

  /** Adds a unit, as an operator does. */
  add(unit: string, text: string): void {
    writeFileSync(join(this.at('units'), unit), text);
    this.systemctl('daemon-reload');
  }

  /** It is started at each boot from now on, as far as systemd is concerned. */
  enable(unit: string): void {
    const wants = join(this.at('units'), 'default.target.wants');
    mkdirSync(wants, { recursive: true });
    symlinkSync(join(this.at('units'), unit), join(wants, unit));
    this.systemctl('daemon-reload');
  }

  /** What `systemctl` prints; null when it fails. */
  systemctl(...words: readonly string[]): string | null {
    try {
      const stdio: ['ignore', 'pipe', 'ignore'] = ['ignore', 'pipe', 'ignore'];
      return execFileSync(this.at('systemctl.sh'), words, { encoding: 'utf8', stdio, timeout: 10_000 });
    } catch {
      return null;
    }
  }

  /** Nothing of it is left once the host is dead. */
  remove(): void {
    for (const group of this.groups) removeGroups(group);
    if (existsSync(PERMITS) && readdirSync(PERMITS).length === 0) rmdirSync(PERMITS);
  }

  private showToHost(): void {
    const real = realpathSync(execFileSync('which', ['systemctl'], { encoding: 'utf8' }).trim());
    const script = `#!/bin/sh\nXDG_RUNTIME_DIR=${this.at('run')} exec ${this.at('systemctl')} --user "$@"\n`;
    copyFileSync(real, this.at('systemctl'));
    writeFileSync(this.at('systemctl.sh'), script, { mode: 0o755 });
    mkdirSync(PERMITS, { recursive: true }); // to have something in whose place another can be shown
    this.host.binds = { [UNITS]: this.at('units'), [PERMITS]: this.at('permits'), [real]: this.at('systemctl.sh') };
  }

  private at(name: string): string {
    return join(this.host.directory, 'systemd', name);
  }

  private get groups(): string[] {
    return HIERARCHIES.map((hierarchy) => join(hierarchy, `understudy-${this.host.namespace}`));
  }
}

function removeGroups(group: string): void {
  if (!existsSync(group)) return;
  for (const entry of readdirSync(group, { withFileTypes: true }))
    if (entry.isDirectory()) removeGroups(join(group, entry.name));
  if (readFileSync(join(group, 'cgroup.procs'), 'utf8') === '') rmdirSync(group);
}
