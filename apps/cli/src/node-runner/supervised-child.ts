import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface, type Interface } from 'node:readline';
import type { Clock, Logger } from '@understudy/platform';
import type { RotatingLog } from './rotating-log.ts';

const LONG_ENOUGH_MS = 10_000;
const FIRST_BACKOFF_MS = 100;
const LONGEST_BACKOFF_MS = 10_000;

/** What to run. */
export interface ChildCommand {
  readonly name: string;
  readonly program: string;
  readonly args: readonly string[];
  readonly environment: NodeJS.ProcessEnv;
  /** It is a service of ours: it has a channel to this process, and its lines go to our standard output too. */
  readonly isService: boolean;
}

/** A child of the runner that is started again when it ends: at once the first time, then with growing pauses. */
export class SupervisedChild {
  private child: ChildProcess | null = null;
  private startedAtMs = 0;
  private failures = 0;
  private timer: NodeJS.Timeout | null = null;
  private stopping = false;
  private ended: PromiseWithResolvers<void> = Promise.withResolvers();

  constructor(
    readonly command: ChildCommand,
    private readonly clock: Clock,
    private readonly logger: Logger,
    private readonly log: RotatingLog,
    private readonly onPidChange: () => void,
  ) {}

  get pid(): number | null {
    return this.child?.pid ?? null;
  }

  /** Milliseconds since the running process was started; 0 when none runs. */
  get upMs(): number {
    return this.child === null ? 0 : this.clock.nowMs() - this.startedAtMs;
  }

  start(): void {
    if (this.stopping || this.child !== null) return;
    const { name, program, args, environment, isService } = this.command;
    this.ended = Promise.withResolvers();
    // a session of its own: Ctrl-C on the terminal is for the runner, which stops its children in order
    const child = spawn(program, args, {
      env: environment,
      detached: true,
      stdio: isService ? ['ignore', 'pipe', 'pipe', 'ipc'] : ['ignore', 'pipe', 'pipe'],
    });
    this.child = child;
    this.startedAtMs = this.clock.nowMs();
    child.on('error', (error) =>
      this.logger.error('A part of this server could not be started', { part: name, error }),
    );
    child.on('close', (code, signal) => this.gone(code, signal));
    for (const stream of [child.stdout, child.stderr]) {
      if (stream) this.follow(createInterface({ input: stream }));
    }
    this.onPidChange();
  }

  /** Ends the present process so that a fresh one takes its place at once. */
  replace(reason: string, signal: 'SIGTERM' | 'SIGKILL'): void {
    if (this.child === null) return;
    this.logger.warn('Replacing a part of this server', { part: this.command.name, reason });
    this.failures = 0;
    this.child.kill(signal);
    if (signal === 'SIGKILL') this.child.kill('SIGCONT');
  }

  /** Ends it for good: asks, waits, then kills. `shutdown` tells a service that the whole server goes down. */
  async stop(options: { shutdown: boolean; limitMs: number }): Promise<void> {
    this.stopping = true;
    if (this.timer) clearTimeout(this.timer);
    const child = this.child;
    if (child === null) return;
    if (options.shutdown && child.connected) child.send({ type: 'shutdown' }, () => undefined);
    else child.kill('SIGTERM');
    const killer = setTimeout(() => {
      this.logger.error('A part of this server did not stop in time and is killed', {
        part: this.command.name,
        limitMs: options.limitMs,
      });
      child.kill('SIGKILL');
    }, options.limitMs);
    await this.ended.promise;
    clearTimeout(killer);
  }

  private gone(code: number | null, signal: NodeJS.Signals | null): void {
    const upMs = this.upMs;
    this.child = null;
    this.ended.resolve();
    this.onPidChange();
    if (this.stopping) return;
    this.failures = upMs > LONG_ENOUGH_MS ? 0 : this.failures + 1;
    const pauseMs = this.failures <= 1 ? 0 : Math.min(LONGEST_BACKOFF_MS, FIRST_BACKOFF_MS * 2 ** (this.failures - 2));
    this.logger.warn('A part of this server has ended and is started again', {
      part: this.command.name,
      code,
      signal,
      upMs: Math.round(upMs),
      pauseMs,
    });
    this.timer = setTimeout(() => this.start(), pauseMs);
  }

  private follow(lines: Interface): void {
    lines.on('line', (line) => {
      this.log.write(line);
      if (this.command.isService) process.stdout.write(`${line}\n`);
    });
  }
}
