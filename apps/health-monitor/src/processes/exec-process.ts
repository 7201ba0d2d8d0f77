import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { closeSync } from 'node:fs';
import type { ProcessView } from '@understudy/contracts';
import { APPLICATION_MARK, type Clock, type Logger, type ProcessConfiguration } from '@understudy/platform';
import { checkHealth } from './health-check.ts';
import { commandAs } from './os-user.ts';
import { endAll } from './process-group.ts';
import { End, elapsed, orGone, type Run } from './process-life.ts';
import { openLog, rotateLog } from './process-log.ts';
import type { ProcessRecord, ProcessRecords } from './process-record.ts';
import { identify, isSameAlive, membersOf, type ProcessIdentity } from './process-table.ts';
import { Readiness } from './readiness.ts';
import { afterEnd } from './restart-policy.ts';

/** Alive for so long: a process without a check counts as running. */
const ALIVE_AFTER_MS = 50;
/** A process with a check must pass it once within this time. */
const HEALTHY_LIMIT_MS = 60_000;
/** A process that could not be restarted counts as recovered when it has been ready for so long. */
const RECOVERED_AFTER_MS = 5000;
/** Until the first pass a process is checked more often, so that a takeover does not wait for it. */
const FIRST_CHECKS_MS = 50;
const LOG_LOOK_MS = 10_000;

/** What happens to a process that others should know. */
export interface ProcessListener {
  /** Its restarts are used up. Once, until it has recovered or was stopped. */
  onExhausted(reason: string): void;
  onRecovered(): void;
  /** It was stopped on purpose; a failure told before does not stand any more. */
  onStopped?(): void;
  onEvent(severity: 'info' | 'warning' | 'critical', message: string): void;
}

/** Where a process leaves its traces and what it is told. */
export interface ProcessSurroundings {
  readonly records: ProcessRecords;
  readonly logFile: string;
  /** Names the process on this machine; see `APPLICATION_MARK`. */
  readonly mark: string;
  readonly environment: NodeJS.ProcessEnv;
}

/**
 * One process of the application, run as a command in a session of its own and kept running. It outlives this manager and is found
 * again by pid and start time; it is never started twice, and nothing of it is left when it is stopped.
 */
export class ExecProcess {
  private wish: AbortController | null = null;
  private loop: Promise<void> = Promise.resolve();
  private stopping: Promise<void> | null = null;
  private run: Run | null = null;
  private lastLeader: ProcessIdentity | null = null;
  /** The last leader was alive under our eyes. */
  private sawLeader = false;
  /** Nothing of it is alive, as this manager has seen to itself. */
  private clean = false;
  private ready = false;
  private failures: readonly number[] = [];
  private exhausted = false;
  private reason = '';
  private restarts = 0;
  private wake: () => void = () => undefined;
  private readonly readiness = new Readiness();

  constructor(
    readonly configuration: ProcessConfiguration,
    private readonly surroundings: ProcessSurroundings,
    private readonly clock: Clock,
    private readonly logger: Logger,
    private readonly listener: ProcessListener,
  ) {}

  /** Takes over the process of an earlier manager when exactly that one is alive and was started as configured now. */
  adopt(): boolean {
    if (this.wish) return true;
    const record = this.surroundings.records.read(this.configuration.name);
    if (!record || !isSameAlive(record)) return false;
    if (record.digest !== this.digest) return false;
    this.begin();
    return true;
  }

  /** Wants it to run; resolves when it does its work, at most 60 s later. Rejects when its restarts are used up or it is stopped. */
  async start(): Promise<void> {
    await this.stopping;
    if (!this.wish) this.begin();
    else if (this.exhausted) {
      this.failures = []; // a new decision to start it is a new chance
      this.wake();
    }
    if (this.ready && this.run && isSameAlive(this.run.identity)) return;
    await this.readiness.wait(this.configuration.name, HEALTHY_LIMIT_MS);
  }

  /** Ends it with everything it has started; resolves when nothing of it is alive, rejects when something cannot be killed. */
  stop(): Promise<void> {
    this.stopping ??= this.stopNow(this.configuration.stopSeconds * 1000).finally(() => {
      this.stopping = null;
    });
    return this.stopping;
  }

  /** The same without grace, beside a stop that is under way too. */
  async kill(): Promise<void> {
    const stop = this.stopping ?? this.stopNow(0);
    await Promise.all([stop, this.endMembers(0)]);
  }

  /** Stops watching; the process runs on and can be adopted. */
  async release(): Promise<void> {
    this.wish?.abort();
    this.wish = null;
    this.readiness.missed('this manager ends');
    await this.loop;
  }

  view(): ProcessView {
    const { name, critical } = this.configuration;
    const alive = this.run && isSameAlive(this.run.identity) ? this.run : null;
    const since = alive && new Date(this.clock.unixMs() - (this.clock.nowMs() - alive.startedAtMs)).toISOString();
    const wanted = this.wish !== null;
    const state = this.exhausted ? 'failed' : alive && this.ready ? 'running' : wanted ? 'starting' : 'stopped';
    const { restarts, reason } = this;
    return { name, adapter: 'exec', state, pid: alive?.identity.pid ?? null, since, restarts, critical, reason };
  }

  private begin(): void {
    const wish = new AbortController();
    this.wish = wish;
    this.failures = [];
    this.exhausted = false;
    this.reason = '';
    const { records } = this.surroundings;
    const record = records.read(this.configuration.name);
    this.lastLeader = record;
    this.sawLeader = record !== null && isSameAlive(record);
    if (record && this.sawLeader && record.digest === this.digest) {
      this.clean = false;
      this.run = this.adoptedRun(record, record.startedAtUnixMs, wish.signal);
      this.ready = true;
    }
    this.loop = this.keepRunning(wish.signal).catch((error: unknown) =>
      this.logger.error('Keeping a process running failed', { process: this.configuration.name, error }),
    );
  }

  private async stopNow(graceMs: number): Promise<void> {
    this.wish?.abort();
    this.wish = null;
    this.readiness.missed('it was stopped');
    await this.loop;
    const { records } = this.surroundings;
    if (!this.lastLeader) {
      this.lastLeader = records.read(this.configuration.name);
      this.sawLeader = this.lastLeader !== null && isSameAlive(this.lastLeader);
    }
    await this.endMembers(graceMs);
    records.remove(this.configuration.name);
    this.clean = true;
    this.lastLeader = null;
    this.exhausted = false;
    this.reason = '';
    this.listener.onStopped?.();
  }

  /** Life after life until nobody wants it any more. What runs then is left to the one who changed his mind. */
  private async keepRunning(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      let end: string;
      try {
        // What an earlier life left behind would run beside its successor.
        if (!this.run && !this.clean) await this.endMembers();
        if (signal.aborted) break;
        this.run ??= this.launch(signal);
        end = await this.accompany(this.run, signal);
      } catch (error) {
        end = `it cannot be started: ${error instanceof Error ? error.message : String(error)}`;
      }
      const wasReady = this.ready;
      this.ready = false;
      if (signal.aborted) break;
      this.run = null;
      await this.pause(this.judge(end, wasReady), signal);
      this.restarts += 1;
    }
    this.run = null;
    this.ready = false;
  }

  /** Stays with one life of the process; resolves with why it is over, or with nothing of interest when it is not wanted any more. */
  private async accompany(run: Run, signal: AbortSignal): Promise<string> {
    const { healthCheck } = this.configuration;
    const timers = [setInterval(() => rotateLog(this.surroundings.logFile), LOG_LOOK_MS)];
    const over = new End(run.ended, signal);
    const becomeReady = () => {
      if (!this.ready && this.exhausted) timers.push(setTimeout(() => this.recovered(), RECOVERED_AFTER_MS));
      this.ready = true;
      this.readiness.reached();
    };
    try {
      let missed = 0;
      for (;;) {
        const first = !this.ready;
        const intervalMs = healthCheck
          ? first
            ? FIRST_CHECKS_MS
            : healthCheck.intervalSeconds * 1000
          : ALIVE_AFTER_MS;
        await over.or(elapsed(intervalMs));
        if (over.how !== null) return over.how;
        if (!healthCheck) {
          becomeReady();
          return await over.reason;
        }
        const failure = await over.or(checkHealth(healthCheck, this.environment));
        if (over.how !== null || signal.aborted || !isSameAlive(run.identity)) return await over.reason;
        if (failure === null) {
          missed = 0;
          becomeReady();
        } else if (first && this.clock.nowMs() - run.startedAtMs > HEALTHY_LIMIT_MS) {
          return `it was not healthy within ${HEALTHY_LIMIT_MS / 1000} s: ${failure}`;
        } else if (!first) {
          missed += 1;
          if (missed >= healthCheck.failures) return `its health check failed ${missed} times in a row: ${failure}`;
        }
      }
    } finally {
      for (const timer of timers) clearTimeout(timer);
      over.forget();
    }
  }

  /** How long to wait before the next life, in ms. Tells when there should be none. */
  private judge(end: string, wasReady: boolean): number {
    const { attempts, withinSeconds, backoffSeconds } = this.configuration.restart;
    const policy = { attempts, withinMs: withinSeconds * 1000, backoffMs: backoffSeconds * 1000 };
    const decision = afterEnd(policy, this.failures, this.clock.nowMs(), wasReady);
    this.failures = decision.failures;
    this.reason = end;
    if (!decision.exhausted) this.tell('warning', `is restarted: ${end}`);
    else {
      const used =
        attempts === 0 ? 'no restarts are allowed' : `${attempts} restarts within ${withinSeconds} s are used up`;
      const reason = `${end}; ${used}`;
      this.reason = reason;
      const before = this.exhausted;
      this.exhausted = true;
      if (!before) this.listener.onExhausted(reason);
      this.readiness.missed(reason);
    }
    return decision.pauseMs;
  }

  private recovered(): void {
    if (!this.exhausted) return;
    this.exhausted = false;
    this.failures = [];
    this.reason = '';
    this.listener.onRecovered();
  }

  private launch(signal: AbortSignal): Run {
    const { name, command = [], user, workingDirectory } = this.configuration;
    const { logFile } = this.surroundings;
    const [program = '', ...args] = commandAs(user, command);
    const startedAtMs = this.clock.nowMs();
    rotateLog(logFile);
    const log = openLog(logFile);
    this.clean = false;
    try {
      const child = spawn(program, args, {
        detached: true, // a session, and with it a process group, of its own
        cwd: workingDirectory ?? '/',
        env: this.environment,
        stdio: ['ignore', log, log],
      });
      child.unref();
      const ended = new Promise<string>((resolve) => {
        child.once('error', (error) => resolve(error.message));
        child.once('exit', (code, by) => resolve(by ? `it was ended by ${by}` : `it ended with exit code ${code}`));
      });
      const identity = child.pid === undefined ? null : identify(child.pid);
      if (!identity) {
        // Too quick for us, or not started at all: what it says comes with the event.
        this.lastLeader = null;
        return { identity: { pid: -1, startTime: -1, bootId: '' }, startedAtMs, ended };
      }
      this.lastLeader = identity;
      this.sawLeader = true;
      this.record({ ...identity, name, startedAtUnixMs: this.clock.unixMs(), digest: this.digest });
      return { identity, startedAtMs, ended: orGone(identity, ended, signal) };
    } finally {
      closeSync(log);
    }
  }

  /** Without its record it runs all the same: the mark in its environment says whose it is. */
  private record(record: ProcessRecord): void {
    try {
      this.surroundings.records.write(record);
    } catch (error) {
      this.tell('warning', `runs, but its pid file cannot be written: ${(error as Error).message}`);
    }
  }

  private adoptedRun(identity: ProcessIdentity, startedAtUnixMs: number, signal: AbortSignal): Run {
    const ageMs = Math.max(0, this.clock.unixMs() - startedAtUnixMs);
    return { identity, startedAtMs: this.clock.nowMs() - ageMs, ended: orGone(identity, null, signal) };
  }

  /** Everything of the present or a former life. */
  private async endMembers(graceMs = this.configuration.stopSeconds * 1000): Promise<void> {
    const leader = this.lastLeader;
    const { mark } = this.surroundings;
    await endAll(() => membersOf(mark, leader, this.sawLeader), graceMs);
  }

  private pause(ms: number, signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const done = () => {
        clearTimeout(timer);
        signal.removeEventListener('abort', done);
        this.wake = () => undefined;
        resolve();
      };
      const timer = setTimeout(done, ms);
      signal.addEventListener('abort', done);
      this.wake = done;
      if (signal.aborted) done();
    });
  }

  private tell(severity: 'info' | 'warning' | 'critical', what: string): void {
    this.listener.onEvent(severity, `${this.configuration.name} ${what}`);
  }

  private get environment(): NodeJS.ProcessEnv {
    return {
      ...this.surroundings.environment,
      ...this.configuration.environment,
      [APPLICATION_MARK]: this.surroundings.mark,
    };
  }

  private get digest(): string {
    const { command, environment, user, workingDirectory } = this.configuration;
    const started = JSON.stringify([command, environment, user ?? null, workingDirectory ?? null]);
    return createHash('sha256').update(started).digest('hex');
  }
}
