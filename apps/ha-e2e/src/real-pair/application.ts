import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Host } from './host.ts';
import type { Stage } from './stage.ts';

/** Name of the protected process in the servers' configuration. */
export const APPLICATION_NAME = 'Sample Server';

/**
 * The protected application of the stage: a loop that holds a lock which both hosts share. The kernel lets the lock go when the
 * process ends, however it ends; so a second one that starts while the first lives is noticed by itself, not by sampling.
 */
const SCRIPT = `#!/bin/sh
host=$1; home=$2; shared=$3
echo "start $host $(cut -d' ' -f1 /proc/uptime) $$" >> "$shared/started"
exec 9>> "$shared/lock"
if ! flock -n 9; then
  echo "$host started at $(date -u +%T.%3N) while the other runs" >> "$shared/both"
  flock 9
fi
while [ ! -e "$home/fail-application" ]; do sleep 0.2 9>&-; done
exit 1
`;

/** What is known of the application on the two servers. */
export class Application {
  private readonly directory: string;

  constructor(stage: Stage) {
    this.directory = join(stage.directory, 'application');
    mkdirSync(this.directory, { recursive: true, mode: 0o777 });
    writeFileSync(join(this.directory, 'application.sh'), SCRIPT, { mode: 0o755 });
  }

  /** The `processes` entry of a server's configuration. */
  configurationFor(host: Host): Record<string, unknown> {
    return {
      name: APPLICATION_NAME,
      command: ['/bin/sh', join(this.directory, 'application.sh'), host.name, host.directory, this.directory],
      critical: true,
      runsOn: 'active',
      restart: { attempts: 2, withinSeconds: 30, backoffSeconds: 0.2 },
    };
  }

  /** The hosts that were told to start it, in order, since the last reset(). */
  starts(): string[] {
    return this.lines('started').map((line) => line.split(' ')[1] ?? '');
  }

  /** One line for each time it was started while the other server's was running. */
  runningOnBoth(): string[] {
    return this.lines('both');
  }

  /** True when a process of the application lives on the host. */
  runsOn(host: Host): boolean {
    return host.processes().some((process) => process.commandLine.includes('application.sh'));
  }

  /** Makes it end with an error on that host, now and whenever it is started, until mendOn() or reset(). */
  breakOn(host: Host): void {
    writeFileSync(join(host.directory, 'fail-application'), '');
  }

  /** Ends breakOn(). */
  mendOn(host: Host): void {
    rmSync(join(host.directory, 'fail-application'), { force: true });
  }

  /** Forgets what happened so far and mends what breakOn() broke. */
  reset(stage: Stage): void {
    for (const name of ['started', 'both']) rmSync(join(this.directory, name), { force: true });
    for (const host of stage.hosts) this.mendOn(host);
  }

  private lines(name: string): string[] {
    const path = join(this.directory, name);
    return existsSync(path) ? readFileSync(path, 'utf8').trim().split('\n') : [];
  }
}
