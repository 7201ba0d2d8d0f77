import type { ProcessView } from '@understudy/contracts';
import type { Clock, Logger, ProcessConfiguration, ProcessRecord, ProcessRecords } from '@understudy/platform';
import { detached } from '@understudy/telemetry';
import { checkHealth } from './health-check.ts';
import type { KnownLeader, ProcessAdapter, Run } from './process-adapter.ts';
import { End, elapsed } from './process-life.ts';
import { isSameAlive } from './process-table.ts';
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
const TIDY_MS = 10_000;
/** How often it is made sure that a process that should not run does not. */
const KEEP_STOPPED_MS = 10_000;

/** What happens to a process that others should know. */
export interface ProcessListener {
  /** Its restarts are used up. Once, until it has recovered or was stopped. */
  onExhausted(reason: string): void;
  onRecovered(): void;
  /** It was stopped on purpose; a failure told before does not stand any more. */
  onStopped?(): void;
  onEvent(severity: 'info' | 'warning' | 'critical', message: string): void;
}

/** What a process is run with. */
export interface ProcessMeans {
  readonly adapter: ProcessAdapter;
  readonly records: ProcessRecords;
  /** Of the commands that check it. */
  readonly environment: NodeJS.ProcessEnv;
}

/**
 * One process of the application, kept running. It outlives this manager and is found again by pid and start time; it is never started
 * twice, and nothing of it is left when it is stopped.
 */
export class ManagedProcess {
  private wish: AbortController | null = null;
  private loop: Promise<void> = Promise.resolve();
  private stopping: Promise<void> | null = null;
  private run: Run | null = null;
  private leader: KnownLeader | null = null;
  /** Nothing of it is alive, as this manager has seen to itself. */
  private clean = false;
  private ready = false;
  private failures: readonly number[] = [];
  private exhausted = false;
  private reason = '';
  private restarts = 0;
  private wake: () => void = () => undefined;
  private readonly readiness = new Readiness();
  private keeping: Promise<void> | null = null;
  private keeper: NodeJS.Timeout | undefined;
  private lastWorry = '';

  constructor(
    readonly configuration: ProcessConfiguration,
    private readonly means: ProcessMeans,
    private readonly clock: Clock,
    private readonly logger: Logger,
    private readonly listener: ProcessListener,
  ) {}

  /** Takes over the process of an earlier manager when exactly that one is alive and was started as configured now. */
  adopt(): boolean {
    if (this.wish) return true;
    const record = this.means.records.read(this.configuration.name);
    if (!record || !isSameAlive(record)) return false;
    if (record.digest !== this.means.adapter.digest) return false;
    this.begin();
    return true;
  }

  /** From now on it runs only when it is wanted, whoever else might start it; a process that may run anywhere is left alone. */
  keepStopped(): void {
    const { adapter } = this.means;
    if (this.configuration.runsOn !== 'active' || !adapter.keepStopped) return;
    const look = () => {
      if (this.wish || this.stopping) return;
      this.keeping ??= this.keepStoppedNow().finally(() => {
        this.keeping = null;
      });
    };
    this.keeper ??= setInterval(look, KEEP_STOPPED_MS).unref();
    look();
  }

  /** Wants it to run; resolves when it does its work, at most 60 s later. Rejects when its restarts are used up or it is stopped. */
  async start(): Promise<void> {
    await this.stopping;
    if (!this.wish) this.begin();
    else if (this.exhausted) {
      this.failures = []; // a new decision to start it is a new chance
      this.wake();
    }
    if (this.ready && this.isAlive(this.run)) return;
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
    clearInterval(this.keeper);
    this.wish?.abort();
    this.wish = null;
    this.readiness.missed('this manager ends');
    await this.loop;
    await this.keeping;
  }

  view(): ProcessView {
    const { name, critical } = this.configuration;
    const alive = this.isAlive(this.run) ? this.run : null;
    const since = alive && new Date(this.clock.unixMs() - (this.clock.nowMs() - alive.startedAtMs)).toISOString();
    const wanted = this.wish !== null;
    const state = this.exhausted ? 'failed' : alive && this.ready ? 'running' : wanted ? 'starting' : 'stopped';
    const { restarts, reason } = this;
    const { kind: adapter } = this.means.adapter;
    return { name, adapter, state, pid: alive?.identity?.pid ?? null, since, restarts, critical, reason };
  }

  private begin(): void {
    const wish = new AbortController();
    this.wish = wish;
    this.failures = [];
    this.exhausted = false;
    this.reason = '';
    const record = this.means.records.read(this.configuration.name);
    this.leader = record && { identity: record, wasSeen: isSameAlive(record) };
    if (record && this.leader?.wasSeen && record.digest === this.means.adapter.digest) {
      this.clean = false;
      this.run = this.adoptedRun(record, wish.signal);
      this.ready = true;
    }
    this.loop = detached(() => this.keepRunning(wish.signal)).catch((error: unknown) =>
      this.logger.error('Keeping a process running failed', { process: this.configuration.name, error }),
    );
  }

  private async stopNow(graceMs: number): Promise<void> {
    this.wish?.abort();
    this.wish = null;
    this.readiness.missed('it was stopped');
    await this.loop;
    await this.keeping;
    const { records } = this.means;
    if (!this.leader) {
      const record = records.read(this.configuration.name);
      this.leader = record && { identity: record, wasSeen: isSameAlive(record) };
    }
    await this.endMembers(graceMs);
    records.remove(this.configuration.name);
    this.clean = true;
    this.leader = null;
    this.exhausted = false;
    this.reason = '';
    this.listener.onStopped?.();
  }

  /** Life after life until nobody wants it any more. What runs then is left to the one who changed his mind. */
  private async keepRunning(signal: AbortSignal): Promise<void> {
    await this.keeping;
    while (!signal.aborted) {
      let end: string;
      try {
        // What an earlier life left behind would run beside its successor.
        if (!this.run && !this.clean) await this.endMembers();
        if (signal.aborted) break;
        this.run ??= await this.launch(signal);
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
    const timers = [setInterval(() => this.means.adapter.tidy?.(), TIDY_MS)];
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
        const failure = await over.or(checkHealth(healthCheck, this.means.environment));
        if (over.how !== null || signal.aborted || !this.isAlive(run)) return await over.reason;
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

  private async launch(signal: AbortSignal): Promise<Run> {
    this.clean = false;
    const { adapter } = this.means;
    const run = await adapter.launch(signal);
    this.leader = run.identity && { identity: run.identity, wasSeen: true };
    if (run.identity) {
      const { name } = this.configuration;
      this.record({ ...run.identity, name, startedAtUnixMs: this.clock.unixMs(), digest: adapter.digest });
    }
    return run;
  }

  /** Without its record it runs all the same: mark, unit or container say whose it is. */
  private record(record: ProcessRecord): void {
    try {
      this.means.records.write(record);
    } catch (error) {
      this.tell('warning', `runs, but its pid file cannot be written: ${(error as Error).message}`);
    }
  }

  private adoptedRun(record: ProcessRecord, signal: AbortSignal): Run {
    const ageMs = Math.max(0, this.clock.unixMs() - record.startedAtUnixMs);
    const ended = this.means.adapter.ended(record, signal);
    return { identity: record, startedAtMs: this.clock.nowMs() - ageMs, ended };
  }

  /** Everything of the present or a former life. */
  private async endMembers(graceMs = this.configuration.stopSeconds * 1000): Promise<void> {
    await this.means.adapter.end(graceMs, this.leader);
  }

  /** Never rejects: what stands in the way is told once, and tried again. */
  private async keepStoppedNow(): Promise<void> {
    try {
      for (const what of (await this.means.adapter.keepStopped?.()) ?? []) this.tell('warning', what);
      this.lastWorry = '';
    } catch (error) {
      const worry = error instanceof Error ? error.message : String(error);
      if (worry !== this.lastWorry) this.tell('warning', `may be started by others: ${worry}`);
      this.lastWorry = worry;
    }
  }

  private isAlive(run: Run | null): boolean {
    return run?.identity != null && isSameAlive(run.identity);
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
}
