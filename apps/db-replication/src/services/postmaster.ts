import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, fstatSync, openSync, readFileSync, readSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { isAlive, processStartTime } from '@understudy/platform';
import { argumentsOf, processesIn, workDoneIn, worksIn } from '../adapters/process-scan.ts';
import type { Programs } from '../adapters/programs.ts';
import { TaskFailure } from '../domain/task-failure.ts';
import type { TaskContext } from '../ports/task-context.ts';
import type { ConfigurationFiles } from './configuration-files.ts';

/** A process named for good. */
interface ProcessName {
  readonly pid: number;
  readonly startTime: number;
}

const POLL_MS = 10;
/** A start or stop that does no work for so long hangs. */
const START_STALL_MS = 60_000;
const FAST_STOP_MS = 60_000;
const QUICK_STOP_MS = 5000;
/** The memory and lock of a killed postmaster go away with its last child. */
const LEFTOVERS_MS = 10_000;

/** The postmaster of our data directory: started in a session of its own, so that it survives this service, and found again. */
export class Postmaster {
  private process: ProcessName | null = null;
  private child: ChildProcess | null = null;
  /** PostgreSQL in our data directory or on our port that we did not start. */
  foreign = false;

  constructor(
    private readonly dataDirectory: string,
    private readonly logFile: string,
    private readonly programs: Programs,
    private readonly files: ConfigurationFiles,
    private readonly clock: { nowMs(): number },
  ) {}

  /** Whether it lives: a look at the process itself, microseconds. */
  get isRunning(): boolean {
    return this.process !== null && isAlive(this.process.pid, this.process.startTime);
  }

  get pid(): number | null {
    return this.process?.pid ?? null;
  }

  /** Accepts connections, by its own word in postmaster.pid. */
  get isReady(): boolean {
    return this.isRunning && this.statusLine() === 'ready';
  }

  /** Finds a postmaster that runs in the data directory: ours becomes ours again, another one is `foreign`. True when ours runs. */
  adopt(): boolean {
    if (this.isRunning) return true;
    this.process = null;
    const pid = Number.parseInt(this.pidFile()[0] ?? '', 10);
    const startTime = processStartTime(pid);
    const lives = startTime !== null && worksIn(pid, this.dataDirectory);
    const ours = lives && argumentsOf(pid).includes(`config_file=${this.files.serverFile}`);
    this.foreign = lives && !ours;
    if (ours) this.process = { pid, startTime };
    return ours;
  }

  /** Ends what a dead postmaster left running: nothing of it can be used, and it keeps the next one from starting. */
  killLeftovers(): void {
    if (this.isRunning || this.foreign) return;
    for (const pid of processesIn(this.dataDirectory)) kill(pid, 'SIGKILL');
  }

  /**
   * Starts it with the configuration as it is rendered; ends when it accepts connections. A start that is refused because the
   * last one's leftovers are still there is repeated at once. Throws `start-failed` or `foreign-postmaster`.
   */
  async start(context: TaskContext): Promise<void> {
    const until = this.clock.nowMs() + LEFTOVERS_MS;
    for (;;) {
      if (this.adopt()) return this.untilReady(context, 0);
      if (this.foreign) throw new TaskFailure('foreign-postmaster', `another PostgreSQL runs in ${this.dataDirectory}`);
      this.killLeftovers();
      // No process works in the directory, so the lock file names a dead one, or another program with its number.
      if (processesIn(this.dataDirectory).length === 0)
        rmSync(join(this.dataDirectory, 'postmaster.pid'), { force: true });
      const logStart = this.spawn();
      try {
        return await this.untilReady(context, logStart);
      } catch (error) {
        if (!(error instanceof TaskFailure) || this.isRunning) throw error;
        const log = this.logSince(logStart);
        const isLeftover = /pre-existing shared memory block|lock file ".*" already exists|is another post/.test(log);
        if (!isLeftover || this.clock.nowMs() > until) throw error;
        await delay(50);
      }
    }
  }

  /** Ends it: fast, then immediate, then by force. True when it ended in order. Nothing running is success. */
  async stop(context: Pick<TaskContext, 'step' | 'advance'>): Promise<boolean> {
    if (!this.adopt()) {
      if (this.foreign) throw new TaskFailure('foreign-postmaster', `another PostgreSQL runs in ${this.dataDirectory}`);
      this.killLeftovers();
      return true;
    }
    const { pid } = this.process as ProcessName;
    context.step('stopping PostgreSQL');
    kill(pid, 'SIGINT');
    if (await this.untilEnded(FAST_STOP_MS, context)) return true;
    context.step('stopping PostgreSQL at once: it did not stop in order');
    kill(pid, 'SIGQUIT');
    if (!(await this.untilEnded(QUICK_STOP_MS, context))) {
      kill(pid, 'SIGKILL');
      await this.untilEnded(QUICK_STOP_MS, context);
    }
    if (this.isRunning) throw new TaskFailure('stop-failed', `PostgreSQL (process ${pid}) cannot be ended`);
    this.killLeftovers();
    return false;
  }

  /** Makes it read its configuration again. */
  reload(): void {
    if (this.isRunning) kill((this.process as ProcessName).pid, 'SIGHUP');
  }

  /** Calls back at once when a postmaster that we started ends; an adopted one is only seen by looking. */
  onExit: () => void = () => undefined;

  private spawn(): number {
    const log = openSync(this.logFile, 'a', 0o640);
    try {
      const logStart = fstatSync(log).size;
      const child = spawn(this.programs.path('postgres'), ['-D', this.dataDirectory, ...this.files.serverArguments], {
        cwd: '/',
        env: this.programs.environment,
        detached: true,
        stdio: ['ignore', log, log],
        ...this.programs.owner,
      });
      child.once('error', () => undefined);
      child.once('exit', () => {
        if (this.child === child) this.onExit();
      });
      child.unref();
      this.child = child;
      const startTime = child.pid === undefined ? null : processStartTime(child.pid);
      this.process = child.pid === undefined || startTime === null ? null : { pid: child.pid, startTime };
      return logStart;
    } finally {
      closeSync(log);
    }
  }

  private async untilReady(context: TaskContext, logStart: number): Promise<void> {
    let work = 0;
    let workedAtMs = this.clock.nowMs();
    let lookedAtMs = workedAtMs;
    context.step('starting PostgreSQL');
    while (!this.isReady) {
      if (!this.isRunning) throw this.startFailure(logStart);
      context.signal.throwIfAborted();
      const nowMs = this.clock.nowMs();
      if (nowMs - lookedAtMs > 1000) {
        lookedAtMs = nowMs;
        const done = workDoneIn(this.dataDirectory);
        if (done > work) {
          work = done;
          workedAtMs = nowMs;
          context.advance(1);
        }
      }
      if (nowMs - workedAtMs > START_STALL_MS) {
        throw new TaskFailure(
          'start-failed',
          `PostgreSQL has done nothing for ${START_STALL_MS / 1000} s and is not ready`,
        );
      }
      await delay(POLL_MS);
    }
  }

  private startFailure(logStart: number): TaskFailure {
    const log = this.logSince(logStart);
    const reasons = log.split('\n').filter((line) => /FATAL|PANIC|could not|unrecognized|invalid/.test(line));
    const reason = reasons.slice(-3).join(' | ') || 'its log does not say why';
    this.foreign = /could not bind .*Address already in use/.test(log);
    return new TaskFailure(this.foreign ? 'foreign-postmaster' : 'start-failed', `PostgreSQL did not start: ${reason}`);
  }

  private async untilEnded(limitMs: number, context: Pick<TaskContext, 'advance'>): Promise<boolean> {
    const startedAtMs = this.clock.nowMs();
    let toldAtMs = startedAtMs;
    while (this.isRunning) {
      const nowMs = this.clock.nowMs();
      if (nowMs - startedAtMs > limitMs) return false;
      if (nowMs - toldAtMs > 1000) {
        toldAtMs = nowMs;
        context.advance(1);
      }
      await delay(POLL_MS);
    }
    return true;
  }

  private pidFile(): string[] {
    try {
      return readFileSync(join(this.dataDirectory, 'postmaster.pid'), 'utf8').split('\n');
    } catch {
      return [];
    }
  }

  private statusLine(): string {
    const lines = this.pidFile();
    return Number(lines[0]) === this.process?.pid ? (lines[7] ?? '').trim() : '';
  }

  private logSince(start: number): string {
    const log = openSync(this.logFile, 'r');
    try {
      const length = Math.min(fstatSync(log).size - start, 65_536);
      if (length <= 0) return '';
      const buffer = Buffer.alloc(length);
      readSync(log, buffer, 0, length, Math.max(start, fstatSync(log).size - length));
      return buffer.toString('utf8');
    } finally {
      closeSync(log);
    }
  }
}

function kill(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch {
    // It ended meanwhile.
  }
}
