import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { findProgram } from '@understudy/platform';
import { DockerEngine } from '../docker-engine.ts';

const SEARCH = `${process.env.PATH}:/usr/sbin:/usr/local/sbin`;
const START_LIMIT_MS = 30_000;
const IMAGE = 'shell';

/** Whether a Docker engine can be run here: as root, with its programs. */
export function dockerIsAvailable(): boolean {
  const programs = ['dockerd', 'docker', 'containerd', 'runc'].map((program) => findProgram(program, SEARCH));
  return process.getuid?.() === 0 && !programs.includes(null);
}

/** A Docker engine with a directory of its own, without networks, and an image that has a shell and nothing else. */
export class PrivateDocker {
  readonly directory = mkdtempSync(join(tmpdir(), 'docker-'));
  readonly engine = new DockerEngine(this.socket);
  private daemon: ChildProcess | null = null;
  private said = '';

  async start(): Promise<void> {
    const { directory } = this;
    const places = ['--data-root', `${directory}/data`, '--exec-root', `${directory}/exec`, '-p', `${directory}/pid`];
    const small = ['--bridge=none', '--iptables=false', '--ip6tables=false', '--storage-driver=vfs', '--live-restore'];
    const options = ['-H', `unix://${this.socket}`, ...places, ...small];
    const environment = { ...process.env, PATH: SEARCH };
    this.daemon = spawn('dockerd', options, { stdio: ['ignore', 'pipe', 'pipe'], env: environment });
    for (const stream of [this.daemon.stdout, this.daemon.stderr])
      stream?.on('data', (data) => {
        this.said += String(data);
      });
    const endMs = performance.now() + START_LIMIT_MS;
    while (!this.answers()) {
      if (performance.now() > endMs) throw new Error(`the engine has not come up:\n${this.said}`);
      await delay(100);
    }
    if (this.docker('images', '-q', IMAGE) === '') importShell((...args) => this.docker(...args));
  }

  /** The engine's command line, as an operator uses it. */
  docker(...args: string[]): string {
    const environment = { ...process.env, DOCKER_HOST: `unix://${this.socket}` };
    return execFileSync('docker', args, {
      env: environment,
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'pipe'],
    }).trim();
  }

  /** Makes a container that runs a shell script, and does not start it. */
  create(name: string, script: string, ...options: string[]): void {
    this.docker('create', '--name', name, '--network', 'none', ...options, IMAGE, '/bin/sh', '-c', script);
  }

  /** Stops the engine; its containers run on. */
  async stop(): Promise<void> {
    const { daemon } = this;
    if (!daemon) return;
    const ended = new Promise((resolve) => daemon.once('exit', resolve));
    daemon.kill('SIGTERM');
    await ended;
    this.daemon = null;
  }

  async destroy(): Promise<void> {
    const all = this.docker('ps', '-aq').split('\n').filter(Boolean);
    if (all.length > 0) this.docker('rm', '-f', ...all);
    await this.stop();
    for (const line of readFileSync('/proc/mounts', 'utf8').split('\n')) {
      const [, place = ''] = line.split(' ');
      if (place.startsWith(`${this.directory}/`)) execFileSync('umount', ['--lazy', place]);
    }
    rmSync(this.directory, { recursive: true, force: true });
  }

  private get socket(): string {
    return join(this.directory, 'socket');
  }

  private answers(): boolean {
    try {
      this.docker('version');
      return true;
    } catch {
      return false;
    }
  }
}

/** An image of this machine's own shell, and what it is linked with. */
function importShell(docker: (...args: string[]) => string): void {
  const programs = ['/bin/sh', '/bin/sleep'];
  const libraries = programs.flatMap(
    (program) =>
      execFileSync('ldd', [program], { encoding: 'utf8' })
        .match(/\/\S+/g)
        ?.filter((path) => !path.endsWith(':')) ?? [],
  );
  const archive = mkdtempSync(join(tmpdir(), 'image-'));
  const file = join(archive, 'shell.tar');
  try {
    execFileSync('tar', ['-chf', file, ...new Set([...programs, ...libraries])], { stdio: 'ignore' });
    docker('import', file, IMAGE);
  } finally {
    rmSync(archive, { recursive: true, force: true });
  }
}
