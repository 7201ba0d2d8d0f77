import { setTimeout as delay } from 'node:timers/promises';
import type { DatabaseTask, DatabaseTaskResult, PerformDatabaseTask } from '@understudy/contracts';
import type { Logger } from '@understudy/platform';
import type { z } from 'zod';
import type { StateFile } from '../adapters/state-file.ts';
import { messageOf, TaskFailure } from '../domain/task-failure.ts';
import type { TaskContext } from '../ports/task-context.ts';
import { TaskTrace } from './task-trace.ts';

type Request = z.output<typeof PerformDatabaseTask.data>;
type Answer = z.output<typeof PerformDatabaseTask.reply>;

const KEPT = 50;
/** How long the end of the service waits for the running task to let go; and then for what it would rather not leave half done. */
const CLOSE_LIMIT_MS = 3000;

interface Running {
  readonly taskId: string;
  readonly abort: AbortController;
  readonly ended: Promise<void>;
  step: string;
  progress: number;
  percent: number | null;
}

/**
 * Takes tasks, one at a time, and knows those of late by their id, so that asking twice does nothing twice. A task begins only for
 * somebody who waits for it: one that has to wait for another is not queued, it is asked for again.
 */
export class TaskDesk {
  private running: Running | null = null;
  private readonly outcomes = new Map<string, Answer>();
  /** The task that was asked for last: an earlier one that still waits for its turn does not begin any more. */
  private latest: string | null = null;
  private readonly closing = new AbortController();
  private isClosed = false;

  constructor(
    private readonly work: (task: DatabaseTask, context: TaskContext) => Promise<Partial<DatabaseTaskResult>>,
    private readonly state: StateFile,
    private readonly logger: Logger,
    /** What a new task does before anything is waited for: the disk, or the end of the task at work. */
    private readonly atOnce: (task: DatabaseTask) => void = () => undefined,
  ) {}

  /** Whether a task is at work: then PostgreSQL's comings and goings are its business. */
  get isBusy(): boolean {
    return this.running !== null;
  }

  async perform({ taskId, epoch, task, holdMs, replaces }: Request): Promise<Answer> {
    const known = this.outcomes.get(taskId);
    if (known) return known;
    if (epoch < this.state.current.epoch) return this.stale(epoch);
    if (this.latest !== taskId) this.atOnce(task);
    this.latest = taskId;
    // Told at once, and not only when its turn comes: what is replaced may need a while to let go.
    if (replaces !== taskId) this.replace(replaces);
    await this.state.update({ epoch });
    for (const until = performance.now() + holdMs; ; ) {
      const ended = this.outcomes.get(taskId);
      if (ended) return ended;
      if (epoch < this.state.current.epoch) return this.stale(epoch);
      if (this.running === null && this.latest === taskId && !this.isClosed) this.begin(taskId, task);
      const { running } = this;
      const leftMs = until - performance.now();
      if (running === null || leftMs <= 0) return this.outcomes.get(taskId) ?? underWay(running);
      await Promise.race([running.ended, delay(leftMs, undefined, { ref: false })]);
    }
  }

  /** No task begins any more; the running one is ended, and has a few seconds to let go. */
  async close(): Promise<void> {
    this.isClosed = true;
    const { running } = this;
    if (running === null) return;
    this.replace(running.taskId);
    const lastCall = () => this.closing.abort(new TaskFailure('superseded', 'the service ends'));
    await Promise.race([running.ended, delay(CLOSE_LIMIT_MS, undefined, { ref: false }).then(lastCall)]);
    await Promise.race([running.ended, delay(CLOSE_LIMIT_MS, undefined, { ref: false })]);
  }

  private replace(taskId: string | null): void {
    const { running } = this;
    if (running === null || running.taskId !== taskId) return;
    running.abort.abort(new TaskFailure('superseded', 'a later task takes its place'));
  }

  private stale(epoch: number): Answer {
    const message = `epoch ${epoch} is older than ${this.state.current.epoch}`;
    return { state: 'failed', code: 'stale-epoch', message };
  }

  private begin(taskId: string, task: DatabaseTask): void {
    const ended = Promise.withResolvers<void>();
    const running: Running = {
      taskId,
      abort: new AbortController(),
      ended: ended.promise,
      step: task.kind,
      progress: 0,
      percent: null,
    };
    this.running = running;
    const trace = new TaskTrace(task.kind, taskId);
    const context: TaskContext = {
      signal: running.abort.signal,
      closing: this.closing.signal,
      step: (text) => {
        running.step = text;
        running.progress += 1;
        trace.step(text);
        this.logger.info(`${task.kind}: ${text}`);
      },
      advance: (amount) => {
        running.progress += amount;
      },
      percent: (value) => {
        running.percent = value;
      },
    };
    const startedAtMs = performance.now();
    const result = (found: Partial<DatabaseTaskResult>): DatabaseTaskResult => ({
      lsn: null,
      timeline: null,
      method: 'none',
      setAside: null,
      setAsideBytes: 0,
      ...found,
      durationMs: Math.round(performance.now() - startedAtMs),
    });
    trace
      .run(() => this.work(task, context))
      .then(
        (found): Answer => ({ state: 'succeeded', result: result(found) }),
        (error: unknown): Answer => ({
          state: 'failed',
          code: error instanceof TaskFailure ? error.code : 'internal',
          message: messageOf(error),
        }),
      )
      .then((answer) => {
        this.logger[answer.state === 'failed' ? 'warn' : 'info'](`${task.kind} has ${answer.state}`, {
          ...answer,
          taskId,
        });
        this.outcomes.set(taskId, answer);
        for (const oldest of this.outcomes.keys()) {
          if (this.outcomes.size <= KEPT) break;
          this.outcomes.delete(oldest);
        }
        this.running = null;
        ended.resolve();
      });
  }
}

/** What is at work now; null: nothing, because the service ends or a later task was asked for. Whoever asked asks again. */
function underWay(running: Running | null): Answer {
  if (running === null) return { state: 'running', taskId: null, step: 'waiting', progress: 0, percent: null };
  const { taskId, step, progress, percent } = running;
  return { state: 'running', taskId, step, progress, percent };
}
