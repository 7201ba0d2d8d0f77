import { type ChildProcess, spawn } from 'node:child_process';
import { chmodSync, closeSync, mkdirSync, openSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { ip, killAllIn, type NamespaceProcess, namespaceExists, processesIn, signal, tc } from './namespaces.ts';

const HOME_DIRECTORIES = ['run', 'sock', 'tmp', 'log', 'etc', 'shared'] as const;
const EMPTY_AFTER_BOOT = ['run', 'sock', 'tmp'] as const;

/** How a command runs on a host: as whom, and which files it sees in place of others (`place: what is shown there`). */
export interface CommandOptions {
  readonly user?: string;
  readonly binds?: Readonly<Record<string, string>>;
}

/**
 * One machine of the stage: a network namespace with a cable to the switch, its own /tmp and /run/postgresql,
 * and whatever processes are started in it. Its directory outlives its death, as a disk does.
 */
export class Host {
  readonly name: string;
  readonly namespace: string;
  readonly address: string;
  /** Everything this host keeps on disk. Lies outside /tmp because the host has its own /tmp. */
  readonly directory: string;
  private readonly switchNamespace: string;
  private readonly port: string;
  private readonly index: number;
  private readonly children = new Set<ChildProcess>();

  constructor(
    stage: { readonly tag: string; readonly directory: string; readonly switchNamespace: string },
    index: number,
  ) {
    this.index = index;
    this.name = `n${index}`;
    this.namespace = `${stage.tag}-n${index}`;
    this.address = `10.77.0.${10 + index}`;
    this.directory = join(stage.directory, this.name);
    this.switchNamespace = stage.switchNamespace;
    this.port = `p${index}`;
  }

  /** True between powerOn() and die(). */
  get isPowered(): boolean {
    return namespaceExists(this.namespace);
  }

  /** Gives the host its network; /tmp, /run/postgresql and run/ are empty as after a boot. Starts nothing. */
  powerOn(): void {
    for (const name of EMPTY_AFTER_BOOT) rmSync(join(this.directory, name), { recursive: true, force: true });
    for (const name of HOME_DIRECTORIES) mkdirSync(join(this.directory, name), { recursive: true });
    chmodSync(this.directory, 0o755);
    for (const name of ['sock', 'tmp', 'run', 'shared']) chmodSync(join(this.directory, name), 0o1777);

    const { namespace, switchNamespace: sw, port } = this;
    ip(['netns', 'add', namespace]);
    ip(['-n', sw, 'link', 'add', port, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', namespace]);
    ip([
      '-n',
      namespace,
      'link',
      'set',
      'eth0',
      'address',
      `02:77:00:00:00:${this.index.toString(16).padStart(2, '0')}`,
    ]);
    ip(['-n', namespace, 'link', 'set', 'lo', 'up']);
    ip(['-n', namespace, 'addr', 'add', `${this.address}/24`, 'dev', 'eth0']);
    ip(['-n', namespace, 'link', 'set', 'eth0', 'up']);
    ip(['-n', sw, 'link', 'set', port, 'master', 'br0']);
    ip(['-n', sw, 'link', 'set', port, 'up']);
  }

  /** Files and directories that whatever is started on this host sees in place of others: what is there, by where. */
  binds: Readonly<Record<string, string>> = {};

  /** The host dies: cable out first, so that nothing says good-bye; then every process at once; then its sockets and addresses. */
  die(): void {
    if (!this.isPowered) return;
    this.cutLink();
    killAllIn(this.namespace);
    ip(['netns', 'delete', this.namespace]);
    ip(['-n', this.switchNamespace, 'link', 'delete', this.port], { tolerate: true });
    this.children.clear();
  }

  /** Pulls the cable at the switch: the host sees the loss of its carrier. */
  cutLink(): void {
    ip(['-n', this.switchNamespace, 'link', 'set', this.port, 'down']);
  }

  /** Puts the cable back, and ends a silent cut. */
  healLink(): void {
    ip(['-n', this.switchNamespace, 'link', 'set', this.port, 'master', 'br0']);
    ip(['-n', this.switchNamespace, 'link', 'set', this.port, 'up']);
  }

  /** Frames go nowhere, both ways, while the host's cable looks fine. */
  cutLinkSilently(): void {
    ip(['-n', this.switchNamespace, 'link', 'set', this.port, 'nomaster']);
  }

  /** What this host sends vanishes, while it still hears the others: a queue that holds nothing. */
  loseOutgoing(): void {
    tc(['-n', this.namespace, 'qdisc', 'replace', 'dev', 'eth0', 'root', 'pfifo', 'limit', '0']);
  }

  /** What is sent to this host vanishes at the switch, while the others still hear it. */
  loseIncoming(): void {
    tc(['-n', this.switchNamespace, 'qdisc', 'replace', 'dev', this.port, 'root', 'pfifo', 'limit', '0']);
  }

  /** Ends both kinds of one-way loss. */
  endLosses(): void {
    tc(['-n', this.namespace, 'qdisc', 'del', 'dev', 'eth0', 'root'], { tolerate: true });
    tc(['-n', this.switchNamespace, 'qdisc', 'del', 'dev', this.port, 'root'], { tolerate: true });
  }

  /** Whether the switch passes frames between this host and others that are isolated too; it always does with the rest. */
  isolate(isolated: boolean): void {
    const value = isolated ? 'on' : 'off';
    ip(['-n', this.switchNamespace, 'link', 'set', this.port, 'type', 'bridge_slave', 'isolated', value]);
  }

  /** Command line that runs `command` on this host with its private /tmp and /run/postgresql. Its pid is the command's. */
  commandLine(command: readonly string[], options: CommandOptions = {}): string[] {
    const { user = 'root', binds = {} } = options;
    const mounts = Object.entries({
      '/run/postgresql': join(this.directory, 'sock'),
      '/tmp': join(this.directory, 'tmp'),
      ...this.binds,
      ...binds,
    });
    const mount = `mkdir -p /run/postgresql && ${mounts.map(([at, from]) => `mount --bind '${from}' '${at}'`).join(' && ')} && exec "$@"`;
    const dropped = user === 'root' ? [] : ['setpriv', '--reuid', user, '--regid', user, '--init-groups', '--'];
    return ['ip', 'netns', 'exec', this.namespace, 'sh', '-c', mount, 'sh', ...dropped, ...command];
  }

  /** Starts a command on this host. Its output goes to `log/<log>`. */
  start(command: readonly string[], options: CommandOptions & { readonly log: string }): ChildProcess {
    const [file = '', ...args] = this.commandLine(command, options);
    const log = openSync(join(this.directory, 'log', options.log), 'a');
    try {
      const child = spawn(file, args, {
        cwd: this.directory,
        env: this.environment(),
        stdio: ['ignore', log, log],
        detached: true,
      });
      child.on('error', () => {});
      child.unref();
      this.children.add(child);
      child.once('exit', () => this.children.delete(child));
      return child;
    } finally {
      closeSync(log);
    }
  }

  /** Runs a command on this host to its end and returns its exit code and output. Rejects after `timeoutMs`. */
  run(
    command: readonly string[],
    options: CommandOptions & { readonly timeoutMs?: number } = {},
  ): Promise<{ readonly code: number | null; readonly output: string }> {
    const [file = '', ...args] = this.commandLine(command, options);
    const timeoutMs = options.timeoutMs ?? 60_000;
    return new Promise((resolve, reject) => {
      const child = spawn(file, args, {
        cwd: this.directory,
        env: this.environment(),
        stdio: ['ignore', 'pipe', 'pipe'],
      });
      let output = '';
      const collect = (chunk: Buffer) => {
        output += chunk.toString();
      };
      child.stdout.on('data', collect);
      child.stderr.on('data', collect);
      const timer = setTimeout(() => {
        child.kill('SIGKILL');
        reject(new Error(`${command.join(' ')}: not within ${timeoutMs} ms: ${output}`));
      }, timeoutMs);
      child.once('error', reject);
      child.once('close', (code) => {
        clearTimeout(timer);
        resolve({ code, output });
      });
    });
  }

  /** The living processes of this host. */
  processes(): NamespaceProcess[] {
    return processesIn(this.namespace);
  }

  /** SIGSTOP: the process lives on and does nothing. */
  freeze(pid: number): void {
    this.assertMine(pid);
    signal(pid, 'SIGSTOP');
  }

  /** Ends a freeze. */
  thaw(pid: number): void {
    this.assertMine(pid);
    signal(pid, 'SIGCONT');
  }

  /** SIGKILL to one process of this host. */
  kill(pid: number): void {
    this.assertMine(pid);
    signal(pid, 'SIGKILL');
  }

  /** Environment of whatever runs on this host: nothing of the environment of the tests but what PATH must hold. */
  environment(): Record<string, string> {
    return {
      PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
      HOME: join(this.directory, 'run'),
      LANG: 'C.UTF-8',
      LC_ALL: 'C.UTF-8',
    };
  }

  private assertMine(pid: number): void {
    if (!this.processes().some((process) => process.pid === pid)) {
      throw new Error(`process ${pid} is not one of ${this.name}`);
    }
  }
}
