import type { Clock } from '@understudy/platform';
import { RestartPolicy } from '../domain/restart-policy.ts';
import { messageOf } from '../domain/task-failure.ts';
import type { EngineEvents } from '../ports/engine-events.ts';
import { quietContext, type TaskContext } from '../ports/task-context.ts';
import type { Postmaster } from './postmaster.ts';

/** Death is noticed within this time. */
const WATCH_MS = 50;

/** What the supervision asks of the engine. */
export interface Supervised {
  /** Whether PostgreSQL shall be running, and nobody else is at work on it. */
  shallRun(): boolean;
  launch(context: TaskContext): Promise<void>;
  /** Something happened that others should know at once. */
  changed(): void;
}

/** Sees within 50 ms that PostgreSQL has died, and starts it again in place: at once, and slowly when that does not help. */
export class Supervision {
  private readonly restarts = new RestartPolicy();
  private timer: NodeJS.Timeout | undefined;
  private reviving: Promise<void> | null = null;
  private abort = new AbortController();
  private nextAtMs = 0;
  private wasRunning = false;
  private told: 'nothing' | 'failed' | 'exhausted' = 'nothing';

  constructor(
    private readonly postmaster: Postmaster,
    private readonly events: EngineEvents,
    private readonly clock: Clock,
    private readonly supervised: Supervised,
  ) {}

  /** PostgreSQL cannot be kept running. */
  get isExhausted(): boolean {
    return this.restarts.isExhausted(this.clock.nowMs());
  }

  start(): void {
    this.timer = setInterval(() => this.look(), WATCH_MS);
  }

  async stop(): Promise<void> {
    clearInterval(this.timer);
    this.timer = undefined;
    await this.yield();
  }

  /** A task takes over: a start under way is given up, and what failed before does not count any more. */
  async yield(): Promise<void> {
    this.abort.abort(new Error('a task takes over'));
    await this.reviving;
    this.abort = new AbortController();
    this.restarts.reset();
    this.told = 'nothing';
    this.nextAtMs = 0;
  }

  /** The task is over: what runs now is watched from this moment on, so that not even an end before the next look is missed. */
  resume(): void {
    this.wasRunning = this.postmaster.running !== null;
  }

  /** Stops and starts it again on purpose, unless a task comes first or the service ends. */
  async restart(stop: () => Promise<void>): Promise<void> {
    if (this.reviving !== null || this.timer === undefined) return;
    this.wasRunning = false;
    this.reviving = stop()
      .then(() => this.revive())
      .catch((error: unknown) =>
        this.failed(`PostgreSQL could not be restarted: ${messageOf(error)}`, 'postgresql-start-failed'),
      )
      .finally(() => {
        this.reviving = null;
        this.supervised.changed();
      });
    await this.reviving;
  }

  /** Looks now; called by itself every 50 ms, and when a postmaster that this service started has ended. */
  look(): void {
    if (this.timer === undefined) return;
    if (this.reviving !== null || !this.supervised.shallRun()) return;
    const isRunning = this.postmaster.running !== null;
    const nowMs = this.clock.nowMs();
    if (this.wasRunning && !isRunning) this.failed('PostgreSQL has ended unexpectedly', 'postgresql-ended');
    this.wasRunning = isRunning;
    if (isRunning || nowMs < this.nextAtMs) return;
    this.reviving = this.revive().finally(() => {
      this.reviving = null;
      this.supervised.changed();
    });
  }

  private async revive(): Promise<void> {
    const { signal } = this.abort;
    try {
      await this.supervised.launch(quietContext(signal));
      this.wasRunning = true;
      if (!this.isExhausted) this.told = 'nothing';
    } catch (error) {
      if (!signal.aborted)
        this.failed(`PostgreSQL could not be started: ${messageOf(error)}`, 'postgresql-start-failed');
    }
  }

  private failed(message: string, code: string): void {
    const nowMs = this.clock.nowMs();
    this.nextAtMs = nowMs + this.restarts.failed(nowMs);
    const exhausted = this.isExhausted;
    if (exhausted && this.told !== 'exhausted') {
      this.told = 'exhausted';
      this.events.incident({
        severity: 'critical',
        code: 'restarts-exhausted',
        message: `PostgreSQL cannot be kept running: it has ended, or could not be started, too often. The last time: ${message}`,
      });
    } else if (!exhausted && (this.told === 'nothing' || code === 'postgresql-ended')) {
      this.told = 'failed';
      const next = code === 'postgresql-ended' ? `${message} and is started again` : message;
      this.events.incident({ severity: 'warning', code, message: next });
    }
    this.supervised.changed();
  }
}
