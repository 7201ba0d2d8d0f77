import { type ChildProcess, spawn } from 'node:child_process';
import { open, readFile, realpath, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { processStartTime } from '@understudy/platform';
import { detached } from '@understudy/telemetry';
import { LastKnown } from '../adapters/last-known.ts';
import { argumentsOf, processesIn, workDoneIn, worksIn } from '../adapters/process-scan.ts';
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
const IMMEDIATE_STOP_LIMIT_MS = 10_000;
const KILL_LIMIT_MS = 5000;
const LOCATE_LIMIT_MS = 500;

/** A process, named for good by its start time. */
export interface PostmasterIdentity {
  readonly pid: number;
  readonly startTime: number;
  /** It runs without our configuration: somebody else started it. */
  readonly isForeign: boolean;
}

/** The postmaster of our data directory. It outlives this service and is found again by pid, start time and directory. */
export class Postmaster {
  /** The last start failed because something else listens on our port. */
  isPortTaken = false;
  /** Called at once when a postmaster that this service started ends. */
  onEnd: () => void = () => undefined;
  private logStart = 0;
  private known: PostmasterIdentity | null = null;
  /** The data directory with symbolic links resolved, as the kernel names it. */
  private place: string;
  private readonly recorded = new LastKnown<PostmasterIdentity | null>(() => this.readRecorded(), null);

  constructor(
    private readonly settings: EngineSettings,
    private readonly programs: Programs,
    private readonly configuration: ConfigurationFiles,
  ) {
    this.place = settings.dataDirectory;
  }

  get local(): LocalServer {
    return { socketDirectory: this.settings.paths.sockets, port: this.settings.port };
  }

  /**
   * The living postmaster as far as known, null when there is none. One that is ending lives until the last of its files is closed.
   * Looks at /proc only, which cannot hang with a disk.
   */
  get running(): PostmasterIdentity | null {
    const { known } = this;
    if (known && processStartTime(known.pid) === known.startTime) return known;
    this.known = null;
    return null;
  }

  /** Finds the postmaster that runs on the directory, whoever started it: reads its pid file, for at most half a second. */
  async locate(): Promise<PostmasterIdentity | null> {
    if (this.running !== null) return this.known;
    const found = await this.recorded.get(LOCATE_LIMIT_MS);
    if (this.running === null) this.known = found;
    return this.running;
  }

  /** Somebody else started the one that runs. Known from when it was found: an ending process does not tell any more. */
  get isForeign(): boolean {
    return this.running?.isForeign === true;
  }

  /** Starts it in a session of its own. Fails when something else of PostgreSQL works in the directory and does not end. */
  async launch(): Promise<void> {
    if ((await this.locate()) !== null) return;
    await this.endOrphans();
    const log = await open(this.logFile, 'a', 0o640);
    try {
      this.logStart = (await log.stat()).size;
      // its end is a matter of its own, long after the task that has started it
      const child = detached(() =>
        spawn(
          this.programs.path('postgres'),
          ['-D', this.settings.dataDirectory, ...this.configuration.serverArguments],
          {
            cwd: '/',
            env: this.programs.environment,
            detached: true,
            stdio: ['ignore', log.fd, log.fd],
            ...this.programs.owner,
          },
        ),
      );
      child.on('error', () => undefined);
      child.once('exit', () => this.onEnd());
      child.unref();
      await this.settled(child);
    } finally {
      await log.close();
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
        this.isPortTaken = await this.logSinceLaunch(/could not bind .*Address already in use/);
        throw new TaskFailure(
          this.isPortTaken ? 'foreign-postmaster' : 'start-failed',
          `PostgreSQL has ended while it was starting: ${await this.lastLogLines()}`,
        );
      }
      try {
        if ((await this.status()) !== 'ready') throw new Error('it is starting');
        await withLocal(this.local, 1000, (session) => session.query('select 1'));
        this.isPortTaken = false;
        return;
      } catch (error) {
        if (performance.now() - lookedAtMs > 500) {
          lookedAtMs = performance.now();
          const done = workDoneIn(this.place);
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
    const target = await this.locate();
    if (target === null) return;
    signalTo(target.pid, 'SIGINT');
    if (await this.gone(target, FAST_STOP_LIMIT_MS, context)) return;
    context.step('stopping at once');
    signalTo(target.pid, 'SIGQUIT');
    if (await this.gone(target, IMMEDIATE_STOP_LIMIT_MS, context)) return;
    context.step('stopping by force');
    for (const pid of processesIn(this.place)) signalTo(pid, 'SIGKILL');
    if (await this.gone(target, KILL_LIMIT_MS, context)) return;
    throw new TaskFailure('stop-failed', `PostgreSQL (process ${target.pid}) does not end`);
  }

  /** Kills what is known to run, without waiting for anything; `kill` sees to it that it is gone. */
  killAtOnce(): void {
    const { running } = this;
    // the postmaster first, so that it starts nobody anew
    if (running !== null) signalTo(running.pid, 'SIGKILL');
    for (const pid of processesIn(this.place)) signalTo(pid, 'SIGKILL');
  }

  /** Ends it and everything it has started at once: what was committed is on disk, crash recovery does the rest. */
  async kill(context: TaskContext): Promise<void> {
    const target = await this.locate();
    if (target !== null) {
      this.killAtOnce();
      if (!(await this.gone(target, KILL_LIMIT_MS, context)))
        throw new TaskFailure('stop-failed', `PostgreSQL (process ${target.pid}) does not end`);
    }
    await this.endOrphans();
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
    this.place = await realpath(this.settings.dataDirectory).catch(() => this.settings.dataDirectory);
    const ending = new Map<number, number>();
    while (this.running === null) {
      for (const pid of processesIn(this.place)) {
        const startTime = processStartTime(pid);
        if (startTime !== null) ending.set(pid, startTime);
      }
      for (const [pid, startTime] of ending) {
        if (processStartTime(pid) === startTime) signalTo(pid, 'SIGKILL');
        else ending.delete(pid);
      }
      if (ending.size === 0) {
        // Nothing works in the directory, so a lock file names a dead process, or one that has its number by now.
        await rm(join(this.place, 'postmaster.pid'), { force: true });
        await rm(`${this.configuration.socketFile}.lock`, { force: true });
        return;
      }
      const names = [...ending.keys()].join(', ');
      if (performance.now() - startedAtMs > ORPHAN_LIMIT_MS)
        throw new TaskFailure('start-failed', `processes ${names} of an earlier PostgreSQL do not end`);
      await delay(POLL_MS);
    }
  }

  /** Waits until the process has taken up the directory, or has ended. */
  private async settled(child: ChildProcess): Promise<void> {
    for (const until = performance.now() + 5000; performance.now() < until; await delay(1)) {
      const { pid } = child;
      if (pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
      const startTime = processStartTime(pid);
      if (startTime === null || !worksIn(pid, this.place)) continue;
      this.known = { pid, startTime, isForeign: false };
      return;
    }
  }

  /** What it says of itself: `starting`, `standby` (no connections yet), `ready`, `stopping`. */
  private async status(): Promise<string> {
    const lines = await this.pidFile();
    return Number(lines[0]) === this.known?.pid ? (lines[7]?.trim() ?? '') : '';
  }

  private async readRecorded(): Promise<PostmasterIdentity | null> {
    this.place = await realpath(this.settings.dataDirectory).catch(() => this.settings.dataDirectory);
    const pid = Number((await this.pidFile())[0]);
    if (!Number.isInteger(pid) || pid <= 0 || !worksIn(pid, this.place)) return null;
    const startTime = processStartTime(pid);
    const command = argumentsOf(pid);
    if (startTime === null || command.length === 0) return null;
    return { pid, startTime, isForeign: !command.some((word) => word.endsWith(this.configuration.serverFile)) };
  }

  private async pidFile(): Promise<string[]> {
    const text = await readFile(join(this.settings.dataDirectory, 'postmaster.pid'), 'utf8').catch(() => '');
    return text.split('\n');
  }

  /** Whether PostgreSQL has written that since it was launched last. */
  async logSinceLaunch(what: RegExp): Promise<boolean> {
    return what.test(await this.log());
  }

  private async lastLogLines(): Promise<string> {
    const lines = (await this.log()).trimEnd().split('\n');
    const reasons = lines.filter((line) => !/FATAL: {2}the database system is/.test(line));
    return reasons.slice(-3).join(' | ').slice(-600) || 'it wrote no log';
  }

  /** The end of the log since the last launch, at most 64 KiB. */
  private async log(): Promise<string> {
    const log = await open(this.logFile, 'r').catch(() => null);
    if (log === null) return '';
    try {
      const { size } = await log.stat();
      const start = Math.max(this.logStart > size ? 0 : this.logStart, size - LOG_BYTES);
      const { buffer, bytesRead } = await log.read(Buffer.alloc(LOG_BYTES), 0, size - start, start);
      return buffer.toString('utf8', 0, bytesRead);
    } finally {
      await log.close();
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
