import { spawn } from 'node:child_process';
import { closeSync, mkdirSync, openSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import type { ProcessView } from '@understudy/contracts';
import { type Clock, isAlive, type Logger, type ProcessConfiguration, processStartTime } from '@understudy/platform';
import { isHealthy } from './health-check.ts';
import { endSession, pidsOfSession } from './process-group.ts';
import { afterEnd } from './restart-policy.ts';

const WATCH_MS = 250;
const ALIVE_AFTER_MS = 50;
const HEALTHY_LIMIT_MS = 60_000;
/** A process that had failed counts as recovered when it has run for so long. */
const RECOVERED_AFTER_MS = 5000;
const LARGEST_LOG_BYTES = 10 * 1024 * 1024;

/** What happens to a process that others should know. */
export interface ProcessListener {
  onExhausted(reason: string): void;
  onRecovered(): void;
  onEvent(severity: 'info' | 'warning' | 'critical', message: string): void;
}

interface Identity {
  readonly pid: number;
  readonly startTime: number;
}

/**
 * One process of the application, run as a command in a session of its own. It outlives this manager and is found again by its pid and
 * start time; it is never started twice, and nothing of its session is left when it is stopped.
 */
export class ExecProcess {
  private running: Identity | null = null;
  private wanted = false;
  private failures: readonly number[] = [];
  private exhausted = false;
  private reason = '';
  private restarts = 0;
  private startedAtMs = 0;
  private missedChecks = 0;
  private timers: NodeJS.Timeout[] = [];
  private tail: Promise<unknown> = Promise.resolve();

  constructor(
    readonly configuration: ProcessConfiguration,
    private readonly files: { readonly pid: string; readonly log: string },
    private readonly environment: NodeJS.ProcessEnv,
    private readonly clock: Clock,
    private readonly logger: Logger,
    private readonly listener: ProcessListener,
  ) {}

  /** Starts it, or finds it running; resolves when it is alive and healthy. Rejects when it does not get there. */
  start(): Promise<void> {
    return this.afterEarlier(async () => {
      this.wanted = true;
      this.running = this.recorded();
      if (this.running === null) {
        this.failures = [];
        this.exhausted = false;
        await this.launch();
      }
      this.watch();
      await this.settled();
    });
  }

  /** Ends it with everything it has started; resolves when nothing of it is alive. */
  stop(): Promise<void> {
    this.wanted = false;
    this.unwatch();
    return this.afterEarlier(async () => {
      const identity = this.recorded() ?? this.running;
      const leader = identity?.pid ?? this.recordedPid();
      if (leader !== null && (identity !== null || pidsOfSession(leader).length > 0))
        await endSession(leader, this.configuration.stopSeconds * 1000);
      this.forget();
      this.exhausted = false;
      this.reason = '';
    });
  }

  /** Stops watching; the process runs on. */
  release(): void {
    this.unwatch();
  }

  view(): ProcessView {
    const { name, critical } = this.configuration;
    const runs = this.running !== null && isAlive(this.running.pid, this.running.startTime);
    const state = runs ? 'running' : this.exhausted ? 'failed' : this.wanted ? 'starting' : 'stopped';
    return {
      name,
      adapter: 'exec',
      state,
      pid: runs ? (this.running?.pid ?? null) : null,
      since: runs ? new Date(this.clock.unixMs() - (this.clock.nowMs() - this.startedAtMs)).toISOString() : null,
      restarts: this.restarts,
      critical,
      reason: this.reason,
    };
  }

  private afterEarlier<T>(work: () => Promise<T>): Promise<T> {
    const done = this.tail.then(work);
    this.tail = done.catch(() => undefined);
    return done;
  }

  private async launch(): Promise<void> {
    const { command = [], workingDirectory, environment } = this.configuration;
    const [program = '', ...args] = asUser(this.configuration.user, command);
    mkdirSync(dirname(this.files.log), { recursive: true });
    mkdirSync(dirname(this.files.pid), { recursive: true });
    this.rotate();
    const log = openSync(this.files.log, 'a', 0o640);
    try {
      const child = spawn(program, args, {
        detached: true,
        cwd: workingDirectory ?? '/',
        env: { ...this.environment, ...environment },
        stdio: ['ignore', log, log],
      });
      child.on('error', (error) => {
        this.reason = error.message;
      });
      child.unref();
      const startTime = child.pid === undefined ? null : processStartTime(child.pid);
      this.startedAtMs = this.clock.nowMs();
      if (child.pid === undefined || startTime === null) return;
      this.running = { pid: child.pid, startTime };
      writeFileSync(this.files.pid, JSON.stringify(this.running));
    } finally {
      closeSync(log);
    }
  }

  /** Waits until it is alive for a moment, and healthy when it has a check. */
  private async settled(): Promise<void> {
    const { name, healthCheck } = this.configuration;
    const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));
    const aliveFrom = this.startedAtMs + ALIVE_AFTER_MS;
    const until = this.clock.nowMs() + HEALTHY_LIMIT_MS;
    while (this.wanted && !this.exhausted && this.clock.nowMs() < until) {
      const runs = this.running !== null && isAlive(this.running.pid, this.running.startTime);
      if (runs && this.clock.nowMs() >= aliveFrom && (healthCheck === undefined || (await isHealthy(healthCheck))))
        return;
      await pause(healthCheck === undefined ? 10 : 100);
    }
    if (this.wanted) throw new Error(`${name} does not get ready: ${this.reason || 'its health check fails'}`);
  }

  private watch(): void {
    this.unwatch();
    this.missedChecks = 0;
    this.timers.push(setInterval(() => this.look(), WATCH_MS));
    const { healthCheck } = this.configuration;
    if (healthCheck)
      this.timers.push(setInterval(() => void this.check(healthCheck), healthCheck.intervalSeconds * 1000));
  }

  private unwatch(): void {
    for (const timer of this.timers.splice(0)) clearTimeout(timer);
  }

  private look(): void {
    if (!this.wanted) return;
    const runs = this.running !== null && isAlive(this.running.pid, this.running.startTime);
    if (!runs) this.ended(this.reason || 'it has ended');
    else if (this.exhausted && this.clock.nowMs() - this.startedAtMs > RECOVERED_AFTER_MS) {
      this.exhausted = false;
      this.failures = [];
      this.reason = '';
      this.listener.onRecovered();
    }
  }

  private async check(check: NonNullable<ProcessConfiguration['healthCheck']>): Promise<void> {
    const checked = this.running;
    const healthy = await isHealthy(check);
    if (!this.wanted || checked === null || checked !== this.running) return;
    this.missedChecks = healthy ? 0 : this.missedChecks + 1;
    if (this.missedChecks < check.failures) return;
    this.missedChecks = 0;
    this.unwatch();
    await this.afterEarlier(() => endSession(checked.pid, this.configuration.stopSeconds * 1000)).catch(
      (error: unknown) =>
        this.logger.error('An unhealthy process cannot be ended', { process: this.configuration.name, error }),
    );
    if (this.wanted) this.ended(`its health check failed ${check.failures} times in a row`);
  }

  private ended(reason: string): void {
    const { name, restart } = this.configuration;
    this.unwatch();
    const leader = this.running?.pid ?? null;
    this.running = null;
    const policy = {
      attempts: restart.attempts,
      withinMs: restart.withinSeconds * 1000,
      backoffMs: restart.backoffSeconds * 1000,
    };
    const decision = afterEnd(policy, this.failures, this.clock.nowMs());
    this.failures = decision.failures;
    this.reason = reason;
    if (decision.exhausted && !this.exhausted) {
      this.exhausted = true;
      this.listener.onExhausted(
        `${reason}; ${restart.attempts} restarts within ${restart.withinSeconds} s are used up`,
      );
    } else if (!decision.exhausted) {
      this.listener.onEvent('warning', `${name} is restarted: ${reason}`);
    }
    const timer = setTimeout(
      () =>
        void this.afterEarlier(() => this.restart(leader)).catch((error: unknown) =>
          this.logger.error('A process cannot be restarted', { process: name, error }),
        ),
      decision.pauseMs,
    );
    this.timers.push(timer);
  }

  private async restart(leader: number | null): Promise<void> {
    if (!this.wanted) return;
    // what the dead leader left behind would otherwise run beside its successor
    if (leader !== null && pidsOfSession(leader).length > 0)
      await endSession(leader, this.configuration.stopSeconds * 1000);
    this.restarts += 1;
    await this.launch();
    this.watch();
  }

  /** The process of an earlier manager, when exactly that one is alive. */
  private recorded(): Identity | null {
    try {
      const identity = JSON.parse(readFileSync(this.files.pid, 'utf8')) as Identity;
      if (!isAlive(identity.pid, identity.startTime)) return null;
      if (this.startedAtMs === 0) this.startedAtMs = this.clock.nowMs();
      return identity;
    } catch {
      return null;
    }
  }

  /** The leader's pid of an earlier run whose leader is gone but whose session may have survivors: only when that pid was not given to another process. */
  private recordedPid(): number | null {
    try {
      const { pid } = JSON.parse(readFileSync(this.files.pid, 'utf8')) as Identity;
      return processStartTime(pid) === null ? pid : null;
    } catch {
      return null;
    }
  }

  private forget(): void {
    this.running = null;
    rmSync(this.files.pid, { force: true });
  }

  private rotate(): void {
    const size = statSync(this.files.log, { throwIfNoEntry: false })?.size ?? 0;
    if (size > LARGEST_LOG_BYTES) renameSync(this.files.log, `${this.files.log}.1`);
  }
}

/** The command as another user runs it, in the same process: setpriv replaces itself. */
function asUser(user: string | undefined, command: readonly string[]): readonly string[] {
  return user === undefined
    ? command
    : ['setpriv', '--reuid', user, '--regid', groupOf(user), '--init-groups', '--', ...command];
}

function groupOf(user: string): string {
  const entry = readFileSync('/etc/passwd', 'utf8')
    .split('\n')
    .map((line) => line.split(':'))
    .find(([name]) => name === user);
  return entry?.[3] ?? user;
}
