import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import type { RunnerMessage, ServiceMessage } from '@understudy/messaging';
import type { Clock, Logger } from '@understudy/platform';
import type { RotatingLog } from './rotating-log.ts';

const LONG_ENOUGH_MS = 10_000;
const FIRST_BACKOFF_MS = 100;
const LONGEST_BACKOFF_MS = 10_000;
/** While it stops: how often a service is asked, and how long it may be silent. */
const PING_MS = 1000;
const SILENT_LIMIT_MS = 8000;
/** Our standard output may be a pipe that nobody reads: beyond this, lines only go to the file. */
const STDOUT_BACKLOG_BYTES = 1024 * 1024;

/** What to run. */
export interface ChildCommand {
  readonly name: string;
  readonly program: string;
  readonly args: readonly string[];
  readonly environment: NodeJS.ProcessEnv;
  /** It is a service of ours: it has a channel to this process, and its lines go to our standard output too. */
  readonly isService: boolean;
  /** Brings back what it needs and somebody has removed; before each start. */
  readonly prepare?: () => void;
}

/** A child of the runner that is started again when it ends: at once the first time, then with growing pauses. */
export class SupervisedChild {
  private child: ChildProcess | null = null;
  private startedAtMs = 0;
  private heard = 0;
  private failures = 0;
  private timer: NodeJS.Timeout | null = null;
  private stopping = false;
  private ended: PromiseWithResolvers<void> = Promise.withResolvers();
  private readonly firstReady = Promise.withResolvers<void>();

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

  /** Resolves when the service has said for the first time that its start has finished. */
  get ready(): Promise<void> {
    return this.firstReady.promise;
  }

  /** How many words the running service has said on its channel since its start has finished, which is the first; 0: that has not. */
  get words(): number {
    return this.heard;
  }

  /** Milliseconds since the running process was started; 0 when none runs. */
  get upMs(): number {
    return this.child === null ? 0 : this.clock.nowMs() - this.startedAtMs;
  }

  /** Asks the running service for a word. */
  ping(): void {
    if (this.child) tell(this.child, { type: 'ping' });
  }

  start(): void {
    if (this.stopping || this.child !== null) return;
    const { name, program, args, environment, isService, prepare } = this.command;
    this.ended = Promise.withResolvers();
    let child: ChildProcess;
    try {
      prepare?.();
      child = spawn(program, args, {
        env: environment,
        stdio: isService ? ['ignore', 'pipe', 'pipe', 'ipc'] : ['ignore', 'pipe', 'pipe'],
        // Ctrl-C in a terminal reaches this process alone; it stops the others in the right order.
        detached: true,
      });
    } catch (error) {
      // for want of memory or of room on the disk, say: Node.js throws some of the reasons and reports others
      this.logger.error('A part of this server cannot be started', { part: name, error });
      this.startAgain({ code: null, signal: null, upMs: 0 });
      return;
    }
    this.child = child;
    this.startedAtMs = this.clock.nowMs();
    this.heard = 0;
    child.on('error', (error) => this.failed(name, child, error));
    // Not 'close': that waits for everything the child has started and left behind.
    child.on('exit', (code, signal) => this.gone(child, code, signal));
    child.on('message', (message: ServiceMessage) => {
      if (message?.type === 'ready') this.firstReady.resolve();
      // a killed one's last words may come late
      if (this.child === child && (message?.type === 'ready' || this.heard > 0)) this.heard += 1;
    });
    for (const stream of [child.stdout, child.stderr]) if (stream) this.follow(stream);
    this.onPidChange();
  }

  /** Has the present process read its files again, as SIGHUP asks; one that is being started anew reads them anyway. */
  reload(): void {
    this.child?.kill('SIGHUP');
  }

  /** Ends the present process so that a fresh one takes its place at once. */
  replace(reason: string, signal: 'SIGTERM' | 'SIGKILL'): void {
    if (this.child === null || this.stopping) return;
    this.logger.warn('Replacing a part of this server', { part: this.command.name, reason });
    this.failures = 0;
    this.child.kill(signal);
  }

  /**
   * Ends it for good: asks, waits, then kills. `shutdown` tells a service that the whole server goes down, `isLost` that bus and
   * store have gone already: it sees that its channel has ended.
   */
  async stop(options: { shutdown: boolean; isLost?: boolean; limitMs: number }): Promise<void> {
    this.stopping = true;
    if (this.timer) clearTimeout(this.timer);
    const child = this.child;
    if (child === null) return;
    const kill = (reason: string) => {
      this.logger.error('A part of this server is killed while the server stops', { part: this.command.name, reason });
      child.kill('SIGKILL');
    };
    let stopAsking: () => void = () => undefined;
    if (options.isLost && child.connected) child.disconnect();
    else if (options.shutdown && child.connected) {
      tell(child, { type: 'shutdown' });
      stopAsking = this.killWhenSilent(child, kill);
    } else child.kill('SIGTERM');
    const killer = setTimeout(() => kill(`has not stopped within ${options.limitMs} ms`), options.limitMs);
    await this.ended.promise;
    clearTimeout(killer);
    stopAsking();
  }

  /** PostgreSQL's shutdown may take long; a service that hangs meanwhile is not waited for. Its bus may be closed: asked on our channel. */
  private killWhenSilent(child: ChildProcess, kill: (reason: string) => void): () => void {
    let heardAtMs = this.clock.nowMs();
    child.on('message', () => {
      heardAtMs = this.clock.nowMs();
    });
    const timer = setInterval(() => {
      if (this.clock.nowMs() - heardAtMs < SILENT_LIMIT_MS) return tell(child, { type: 'ping' });
      clearInterval(timer);
      kill(`has been silent for ${SILENT_LIMIT_MS} ms`);
    }, PING_MS);
    return () => clearInterval(timer);
  }

  private failed(name: string, child: ChildProcess, error: Error): void {
    this.logger.error('A part of this server reports an error', { part: name, error });
    if (child.pid === undefined) this.gone(child, null, null);
  }

  private gone(child: ChildProcess, code: number | null, signal: NodeJS.Signals | null): void {
    if (this.child !== child) return;
    const upMs = this.upMs;
    this.child = null;
    this.ended.resolve();
    this.onPidChange();
    this.startAgain({ code, signal, upMs });
  }

  private startAgain({ upMs, ...end }: { code: number | null; signal: NodeJS.Signals | null; upMs: number }): void {
    if (this.stopping) return;
    this.failures = upMs > LONG_ENOUGH_MS ? 1 : this.failures + 1;
    const pauseMs = this.failures <= 1 ? 0 : Math.min(LONGEST_BACKOFF_MS, FIRST_BACKOFF_MS * 2 ** (this.failures - 2));
    this.logger.warn('A part of this server has ended and is started again', {
      part: this.command.name,
      ...end,
      upMs: Math.round(upMs),
      pauseMs,
    });
    this.timer = setTimeout(() => this.start(), pauseMs);
  }

  private follow(stream: Readable): void {
    stream.on('error', () => undefined);
    createInterface({ input: stream }).on('line', (line) => {
      this.log.write(line);
      const isRead = process.stdout.writableLength < STDOUT_BACKLOG_BYTES;
      if (this.command.isService && isRead) process.stdout.write(`${line}\n`);
    });
  }
}

function tell(child: ChildProcess, message: RunnerMessage): void {
  if (child.connected) child.send(message, () => undefined);
}
