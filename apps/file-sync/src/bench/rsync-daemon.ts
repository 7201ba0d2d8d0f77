import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { createConnection } from 'node:net';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import { freePort } from '@understudy/platform';
import { ADDRESS } from './measured-side.ts';
import { CountingRelay } from './relay.ts';

const START_LIMIT_MS = 5000;

/** rsync's daemon, which gives one directory. */
export class RsyncDaemon {
  private constructor(
    private readonly child: ChildProcess,
    private readonly port: number,
  ) {}

  /** @param directory for its configuration @param files what it gives */
  static async open(directory: string, files: string): Promise<RsyncDaemon> {
    const configuration = join(directory, 'rsyncd.conf');
    writeFileSync(configuration, `use chroot = no\n[set]\npath = ${files}\nread only = yes\nuid = 0\ngid = 0\n`);
    const port = await freePort();
    const words = ['--daemon', '--no-detach', `--config=${configuration}`, `--address=${ADDRESS}`, `--port=${port}`];
    const child = spawn('rsync', words, { stdio: ['ignore', 'ignore', 'inherit'] });
    const daemon = new RsyncDaemon(child, port);
    await daemon.listens();
    return daemon;
  }

  /** Seconds that `rsync -a` takes to make a directory what the daemon has. `options`: more of its words. */
  async fetch(to: string, ...options: string[]): Promise<number> {
    return this.fetchFrom(this.port, to, options);
  }

  /** Bytes that go over the connection meanwhile, both ways. */
  async bytesOfFetch(to: string): Promise<number> {
    const relay = await CountingRelay.open(this.port);
    await this.fetchFrom(relay.port, to, []);
    await relay.close();
    return relay.bytes;
  }

  async close(): Promise<void> {
    const ended = once(this.child, 'exit');
    this.child.kill();
    await ended;
  }

  private async fetchFrom(port: number, to: string, options: readonly string[]): Promise<number> {
    const begunAtMs = performance.now();
    await promisify(execFile)('rsync', ['-a', ...options, `rsync://${ADDRESS}:${port}/set/`, `${to}/`]);
    return (performance.now() - begunAtMs) / 1000;
  }

  private async listens(): Promise<void> {
    const endMs = performance.now() + START_LIMIT_MS;
    for (;;) {
      const socket = createConnection(this.port, ADDRESS);
      const isThere = await once(socket, 'connect').then(
        () => true,
        () => false,
      );
      socket.destroy();
      if (isThere) return;
      if (performance.now() > endMs) throw new Error('rsync’s daemon does not listen');
      await delay(20);
    }
  }
}
