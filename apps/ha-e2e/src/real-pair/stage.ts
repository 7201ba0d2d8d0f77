import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Host } from './host.ts';
import { ip, killAllIn, namespaceExists } from './namespaces.ts';
import { unmountBelow } from './small-disk.ts';

/** Where stages keep what their hosts have on disk. Not below /tmp: every host has a /tmp of its own. */
const STAGES_DIRECTORY = process.env.UNDERSTUDY_E2E_DIRECTORY ?? '/var/tmp/understudy-e2e';

/**
 * Two servers and a client in network namespaces, joined by a bridge in a fourth one: n1 10.77.0.11, n2 10.77.0.12,
 * n3 10.77.0.13. Names carry a tag, so that several stages stand side by side; nothing touches the machine's own network.
 */
export class Stage {
  readonly tag: string;
  readonly directory: string;
  readonly switchNamespace: string;
  readonly n1: Host;
  readonly n2: Host;
  readonly n3: Host;

  private constructor(tag: string) {
    this.tag = tag;
    this.directory = join(STAGES_DIRECTORY, tag);
    this.switchNamespace = `${tag}-sw`;
    this.n1 = new Host(this, 1);
    this.n2 = new Host(this, 2);
    this.n3 = new Host(this, 3);
  }

  /** Builds a stage with all three hosts powered and nothing running. Stages left by dead processes are removed first. */
  static create(): Stage {
    removeLeftovers();
    const stage = new Stage(freeTag());
    mkdirSync(stage.directory, { recursive: true });
    writeFileSync(join(stage.directory, 'owner'), `${process.pid} ${startTimeOf(process.pid)}\n`);
    ip(['netns', 'add', stage.switchNamespace]);
    ip(['-n', stage.switchNamespace, 'link', 'add', 'br0', 'type', 'bridge']);
    ip(['-n', stage.switchNamespace, 'link', 'set', 'br0', 'up']);
    stage.leaveInCareOfGuardian();
    for (const host of stage.hosts) host.powerOn();
    return stage;
  }

  /** Cuts the two servers off from one another, while both still see the client's host. */
  partServers(): void {
    for (const host of [this.n1, this.n2]) if (host.isPowered) host.isolate(true);
  }

  /** Ends partServers(). */
  joinServers(): void {
    for (const host of [this.n1, this.n2]) if (host.isPowered) host.isolate(false);
  }

  get hosts(): readonly Host[] {
    return [this.n1, this.n2, this.n3];
  }

  /** Ends every process of the stage, removes its namespaces, and its files unless `keepFiles`. Safe to repeat. */
  destroy(options: { readonly keepFiles?: boolean } = {}): void {
    for (const namespace of [...this.hosts.map((host) => host.namespace), this.switchNamespace]) {
      if (!namespaceExists(namespace)) continue;
      killAllIn(namespace);
      ip(['netns', 'delete', namespace]);
    }
    unmountBelow(this.directory);
    if (options.keepFiles) rmSync(join(this.directory, 'owner'), { force: true });
    else rmSync(this.directory, { recursive: true, force: true });
  }

  /** A small shell that outlives this process for the one moment it takes to remove the stage, however this process ends. */
  private leaveInCareOfGuardian(): void {
    const namespaces = [...this.hosts.map((host) => host.namespace), this.switchNamespace];
    const script = `cat > /dev/null
      [ -e "$1/owner" ] || exit 0
      directory=$1; shift
      for namespace in "$@"; do
        while pids=$(ip netns pids "$namespace" 2> /dev/null) && [ -n "$pids" ]; do kill -9 $pids; sleep 0.05; done
        ip netns delete "$namespace" 2> /dev/null
      done
      grep -o " $directory/[^ ]*" /proc/self/mounts | while read -r mounted; do umount -l "$mounted"; done
      rm -rf "$directory"`;
    const guardian = spawn('sh', ['-c', script, 'understudy-e2e-guardian', this.directory, ...namespaces], {
      stdio: ['pipe', 'ignore', 'ignore'],
      detached: true,
    });
    guardian.on('error', () => {});
    guardian.unref();
    (guardian.stdin as unknown as { unref(): void }).unref();
  }

  /** The stage of that tag, built by whomever, for removal only. */
  static attach(tag: string): Stage {
    return new Stage(tag);
  }
}

/** Removes the stages whose process is gone: a test run that was killed leaves namespaces and servers behind. */
export function removeLeftovers(): void {
  if (!existsSync(STAGES_DIRECTORY)) return;
  for (const tag of readdirSync(STAGES_DIRECTORY)) {
    const owner = join(STAGES_DIRECTORY, tag, 'owner');
    if (!existsSync(owner)) continue; // files kept on purpose
    const [pid = '0', startTime = ''] = readFileSync(owner, 'utf8').trim().split(' ');
    if (startTimeOf(Number(pid)) !== startTime) Stage.attach(tag).destroy();
  }
}

/** Start time of a process in clock ticks since boot, '' when there is none: tells a reused pid from the old one. */
function startTimeOf(pid: number): string {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? '';
  } catch {
    return '';
  }
}

function freeTag(): string {
  for (let attempt = 0; attempt < 100; attempt++) {
    const tag = `ue${process.pid.toString(36)}${attempt.toString(36)}`.slice(0, 8);
    if (!existsSync(join(STAGES_DIRECTORY, tag)) && !namespaceExists(`${tag}-sw`)) return tag;
  }
  throw new Error('no free tag for a stage');
}
