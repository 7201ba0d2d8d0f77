import { setTimeout as delay } from 'node:timers/promises';
import type { DatabaseTask, DatabaseTaskResult, PerformDatabaseTask } from '@understudy/contracts';
import type { Logger } from '@understudy/platform';
import type { z } from 'zod';
import type { StateFile } from '../adapters/state-file.ts';
import { messageOf, TaskFailure } from '../domain/task-failure.ts';
import type { TaskContext } from '../ports/task-context.ts';

type Request = z.output<typeof PerformDatabaseTask.data>;
type Answer = z.output<typeof PerformDatabaseTask.reply>;

const KEPT = 50;
/** Less than callers wait for an answer; they ask again. */
const CANCEL_LIMIT_MS = 3000;

interface Running {
  readonly taskId: string;
  readonly abort: AbortController;
  readonly ended: Promise<void>;
  step: string;
  progress: number;
  percent: number | null;
}

/** Takes tasks, one at a time, and knows those of late by their id, so that asking twice does nothing twice. */
export class TaskDesk {
  private running: Running | null = null;
  private readonly outcomes = new Map<string, Answer>();

  constructor(
    private readonly work: (task: DatabaseTask, context: TaskContext) => Promise<Partial<DatabaseTaskResult>>,
    private readonly state: StateFile,
    private readonly logger: Logger,
  ) {}

  /** Whether a task is at work: then PostgreSQL's comings and goings are its business. */
  get isBusy(): boolean {
    return this.running !== null;
  }

  async perform({ taskId, epoch, task, holdMs, replaces }: Request): Promise<Answer> {
    const known = this.outcomes.get(taskId);
    if (known) return known;
    if (epoch < this.state.current.epoch)
      return {
        state: 'failed',
        code: 'stale-epoch',
        message: `epoch ${epoch} is older than ${this.state.current.epoch}`,
      };
    await this.state.update({ epoch });
    if (this.running !== null && this.running.taskId === replaces && replaces !== taskId) await this.cancel();
    if (this.running !== null && this.running.taskId !== taskId)
      return { state: 'failed', code: 'busy', message: `another task is running: ${this.running.step}` };
    // Asked twice at the same time, it may have ended while the one before was being cancelled.
    const ended = this.outcomes.get(taskId);
    if (ended) return ended;
    const running = this.running ?? this.begin(taskId, task);
    await Promise.race([running.ended, delay(holdMs)]);
    return (
      this.outcomes.get(taskId) ?? {
        state: 'running',
        step: running.step,
        progress: running.progress,
        percent: running.percent,
      }
    );
  }

  /** Ends the running task, and waits a few seconds for it to let go. */
  async cancel(): Promise<void> {
    const { running } = this;
    if (running === null) return;
    running.abort.abort(new TaskFailure('internal', 'another task takes its place'));
    await Promise.race([running.ended, delay(CANCEL_LIMIT_MS, undefined, { ref: false })]);
  }

  private begin(taskId: string, task: DatabaseTask): Running {
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
    const context: TaskContext = {
      signal: running.abort.signal,
      step: (text) => {
        running.step = text;
        running.progress += 1;
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
    this.work(task, context)
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
    return running;
  }
}
