import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { StatusView } from '@understudy/contracts';
import { connect } from '../client/connect.ts';
import type { RestClient } from '../client/rest-client.ts';
import type { DemoServer } from './demo-plan.ts';
import { killAll, processesOf } from './server-processes.ts';

const STOP_MS_MAX = 90_000;
const KILL_MS_MAX = 10_000;

/** One running server of the demonstration. */
export class RunningDemoServer {
  private child: ChildProcess | undefined;
  /** Calls back when the server ended by itself or by another hand. */
  onEnd: (code: number | null) => void = () => {};

  constructor(
    readonly server: DemoServer,
    private readonly root: string,
  ) {}

  get isRunning(): boolean {
    return this.child !== undefined;
  }

  /** Starts `node run`, apart from our terminal: Ctrl-C must reach it through us, in the right order. */
  start(): void {
    if (this.child) return;
    const log = openSync(this.server.logFile, 'a');
    const words = ['node', 'run', '--config', this.server.configurationFile, '--layout', 'composed'];
    const child = spawn(join(this.root, 'bin/understudy'), words, { detached: true, stdio: ['ignore', log, log] });
    closeSync(log);
    this.child = child;
    const ended = (code: number | null) => {
      if (this.child !== child) return;
      this.child = undefined;
      this.onEnd(code);
    };
    child.once('exit', ended);
    child.once('error', () => ended(null));
  }

  /** Ends it in an orderly way; what is left after the deadline is killed. */
  async stop(): Promise<void> {
    const child = this.child;
    if (!child) return;
    this.child = undefined;
    const ended = new Promise<true>((resolve) => child.once('exit', () => resolve(true)));
    child.kill('SIGTERM');
    const isEnded = await Promise.race([ended, sleep(STOP_MS_MAX, false as const, { ref: false })]);
    if (!isEnded) await killAll(() => this.processes(child.pid), KILL_MS_MAX);
  }

  /** What a power cut does: every process of the server at once. */
  async kill(): Promise<void> {
    const pid = this.child?.pid;
    this.child = undefined;
    await killAll(() => this.processes(pid), KILL_MS_MAX);
  }

  /** Ends what an earlier start left behind: it was killed before it could. */
  async clearAway(): Promise<boolean> {
    if (this.processes(undefined).length === 0) return false;
    await new Promise<void>((resolve) => {
      const words = ['node', 'stop', '--config', this.server.configurationFile];
      const stop = spawn(join(this.root, 'bin/understudy'), words, { stdio: 'ignore', timeout: STOP_MS_MAX });
      stop.once('exit', () => resolve());
      stop.once('error', () => resolve());
    });
    await killAll(() => this.processes(undefined), KILL_MS_MAX);
    return true;
  }

  /** The status, null when the server does not answer. */
  async status(): Promise<StatusView | null> {
    try {
      return await (await this.client()).get<StatusView>('/ha/status');
    } catch {
      return null;
    }
  }

  client(): Promise<RestClient> {
    return connect({ config: this.server.configurationFile });
  }

  /** The last lines of its log that tell of trouble, for people. */
  trouble(): string[] {
    const lines = readFileSync(this.server.logFile, 'utf8').trimEnd().split('\n').slice(-200);
    return lines
      .map((line) => plain(line))
      .filter((line) => line !== null)
      .slice(-8);
  }

  private processes(runnerPid: number | undefined): number[] {
    return processesOf(this.server, runnerPid);
  }
}

/** Warnings and errors as sentences; lines that are not JSON are messages of their own. */
function plain(line: string): string | null {
  try {
    const { level, service, message, error } = JSON.parse(line) as Record<string, unknown>;
    if (level !== 'warn' && level !== 'error') return null;
    const detail = (error as { message?: string } | undefined)?.message ?? error ?? '';
    return `${service}: ${message}${detail ? ` (${detail})` : ''}`;
  } catch {
    return line === '' ? null : line;
  }
}
