import { spawn } from 'node:child_process';
import { closeSync, fstatSync, openSync, readFileSync, readSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { processStartTime } from '@understudy/platform';
import { processesIn, workDoneIn, worksIn } from '../adapters/process-scan.ts';
import type { Programs } from '../adapters/programs.ts';
import { type LocalServer, withLocal } from '../adapters/sql.ts';
import { messageOf, TaskFailure } from '../domain/task-failure.ts';
import type { EngineSettings } from '../ports/engine-settings.ts';
import type { TaskContext } from '../ports/task-context.ts';
import type { ConfigurationFiles } from './configuration-files.ts';

const POLL_MS = 5;
const LOG_BYTES = 65_536;
const ORPHAN_LIMIT_MS = 10_000;
const NO_PROGRESS_LIMIT_MS = 60_000;
const FAST_STOP_LIMIT_MS = 60_000;
const IMMEDIATE_STOP_LIMIT_MS = 20_000;

/** A process, named for good by its start time. */
export interface PostmasterIdentity {
  readonly pid: number;
  readonly startTime: number;
}

/** The postmaster of our data directory. It outlives this service and is found again by pid, start time and directory. */
export class Postmaster {
  /** The last start failed because something else listens on our port. */
  isPortTaken = false;
  private logStart = 0;

  constructor(
    private readonly settings: EngineSettings,
    private readonly programs: Programs,
    private readonly configuration: ConfigurationFiles,
  ) {}

  get local(): LocalServer {
    return { socketDirectory: this.settings.paths.sockets, port: this.settings.port };
  }

  /** The living postmaster, null when there is none. Reads no database file but postmaster.pid. */
  get running(): PostmasterIdentity | null {
    const pid = this.recordedPid();
    if (pid === null || !worksIn(pid, this.settings.dataDirectory)) return null;
    const startTime = processStartTime(pid);
    return startTime === null ? null : { pid, startTime };
  }

  /** The first lines of postmaster.pid: when it was started, and that it was started with our configuration. */
  get isForeign(): boolean {
    const { running } = this;
    if (running === null) return false;
    try {
      const commandLine = readFileSync(`/proc/${running.pid}/cmdline`, 'utf8');
      // empty: it is ending at this moment
      return commandLine !== '' && !commandLine.includes(this.configuration.serverFile);
    } catch {
      return false;
    }
  }

  /** Starts it in a session of its own. Fails when something else of PostgreSQL works in the directory and does not end. */
  async launch(): Promise<void> {
    await this.endOrphans();
    const log = openSync(this.logFile, 'a', 0o640);
    try {
      this.logStart = fstatSync(log).size;
      const child = spawn(
        this.programs.path('postgres'),
        ['-D', this.settings.dataDirectory, ...this.configuration.serverArguments],
        {
          cwd: '/',
          env: this.programs.environment,
          detached: true,
          stdio: ['ignore', log, log],
          ...this.programs.owner,
        },
      );
      child.on('error', () => undefined);
      child.unref();
      await this.recordedOrGone(() => child.exitCode !== null || child.signalCode !== null);
    } finally {
      closeSync(log);
    }
  }

  /** Waits until it answers a connection. Gives up when it has ended, or works at nothing for a minute. */
  async ready(context: TaskContext): Promise<void> {
    let work = 0;
    let workedAtMs = performance.now();
    let lookedAtMs = workedAtMs;
    for (;;) {
      context.signal.throwIfAborted();
      if (this.running === null) {
        this.isPortTaken = this.logSinceLaunch(/could not bind .*Address already in use/);
        throw new TaskFailure(
          this.isPortTaken ? 'foreign-postmaster' : 'start-failed',
          `PostgreSQL has ended while it was starting: ${this.lastLogLines()}`,
        );
      }
      try {
        if (this.status !== 'ready') throw new Error('it is starting');
        await withLocal(this.local, 1000, (session) => session.query('select 1'));
        this.isPortTaken = false;
        return;
      } catch (error) {
        if (performance.now() - lookedAtMs > 500) {
          lookedAtMs = performance.now();
          const done = workDoneIn(this.settings.dataDirectory);
          if (done > work) {
            context.advance(done - work);
            work = done;
            workedAtMs = lookedAtMs;
          }
        }
        if (performance.now() - workedAtMs > NO_PROGRESS_LIMIT_MS)
          throw new TaskFailure(
            'start-failed',
            `PostgreSQL does not accept connections and makes no progress: ${messageOf(error)}`,
          );
      }
      await delay(POLL_MS);
    }
  }

  /** Fast shutdown: open transactions are rolled back, everything written reaches a connected standby. Immediate after a minute. */
  async shutDown(context: TaskContext): Promise<void> {
    const target = this.running;
    if (target === null) return;
    signalTo(target.pid, 'SIGINT');
    if (await this.gone(target, FAST_STOP_LIMIT_MS, context)) return;
    context.step('stopping at once');
    signalTo(target.pid, 'SIGQUIT');
    if (await this.gone(target, IMMEDIATE_STOP_LIMIT_MS, context)) return;
    throw new TaskFailure('stop-failed', `PostgreSQL (process ${target.pid}) does not end`);
  }

  reload(): void {
    const { running } = this;
    if (running !== null) signalTo(running.pid, 'SIGHUP');
  }

  private async gone({ pid, startTime }: PostmasterIdentity, limitMs: number, context: TaskContext): Promise<boolean> {
    for (const until = performance.now() + limitMs; performance.now() < until; ) {
      if (processStartTime(pid) !== startTime) return true;
      context.advance(1);
      await delay(POLL_MS);
    }
    return false;
  }

  /** Ends what a dead postmaster left: a new one refuses to start beside the children of a killed one; they must not write either. */
  async endOrphans(): Promise<void> {
    const startedAtMs = performance.now();
    while (this.running === null) {
      const orphans = processesIn(this.settings.dataDirectory);
      if (orphans.length === 0) {
        // Nothing works in the directory, so a lock file names a dead process, or one that has its number by now.
        rmSync(join(this.settings.dataDirectory, 'postmaster.pid'), { force: true });
        rmSync(`${this.configuration.socketFile}.lock`, { force: true });
        return;
      }
      const elapsedMs = performance.now() - startedAtMs;
      if (elapsedMs > ORPHAN_LIMIT_MS)
        throw new TaskFailure('start-failed', `processes ${orphans.join(', ')} of an earlier PostgreSQL do not end`);
      for (const pid of orphans) signalTo(pid, 'SIGKILL');
      await delay(POLL_MS);
    }
  }

  private async recordedOrGone(hasEnded: () => boolean): Promise<void> {
    for (const until = performance.now() + 5000; performance.now() < until; await delay(POLL_MS)) {
      if (this.running !== null || hasEnded()) return;
    }
  }

  /** What it says of itself: `starting`, `standby` (no connections yet), `ready`, `stopping`. */
  private get status(): string {
    try {
      return readFileSync(join(this.settings.dataDirectory, 'postmaster.pid'), 'utf8').split('\n')[7]?.trim() ?? '';
    } catch {
      return '';
    }
  }

  private recordedPid(): number | null {
    try {
      const pid = Number(readFileSync(join(this.settings.dataDirectory, 'postmaster.pid'), 'utf8').split('\n')[0]);
      return Number.isInteger(pid) && pid > 0 ? pid : null;
    } catch {
      return null;
    }
  }

  /** Whether PostgreSQL has written that since it was launched last. */
  logSinceLaunch(what: RegExp): boolean {
    return what.test(this.log());
  }

  private lastLogLines(): string {
    const reasons = this.log()
      .trimEnd()
      .split('\n')
      .filter((line) => !/FATAL: {2}the database system is/.test(line));
    return reasons.slice(-3).join(' | ').slice(-600) || 'it wrote no log';
  }

  /** The end of the log since the last launch, at most 64 KiB. */
  private log(): string {
    try {
      const log = openSync(this.logFile, 'r');
      try {
        const { size } = fstatSync(log);
        const start = Math.max(this.logStart > size ? 0 : this.logStart, size - LOG_BYTES);
        const buffer = Buffer.alloc(Math.max(0, size - start));
        readSync(log, buffer, 0, buffer.length, start);
        return buffer.toString('utf8');
      } finally {
        closeSync(log);
      }
    } catch {
      return '';
    }
  }

  /** Where PostgreSQL writes its log. */
  get logFile(): string {
    return join(this.settings.paths.logs, 'postgresql.log');
  }
}

function signalTo(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch {
    // gone meanwhile
  }
}
