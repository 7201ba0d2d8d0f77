import { setTimeout as delay } from 'node:timers/promises';
import {
  DatabaseFactsQuery,
  type DatabaseTask,
  type DatabaseTaskResult,
  PerformDatabaseTask,
} from '@understudy/contracts';
import { type Lsn, lsnDistance } from '@understudy/ha-core';
import { type DatabasePort, type EffectContext, EffectError } from '@understudy/ha-runtime';
import { type Bus, BusError } from '@understudy/messaging';
import type { Clock } from '@understudy/platform';
import type { ReplicationSource } from '../ports/replication-source.port.ts';

/** One long poll of a task. */
const HOLD_MS = 1000;
/** A task whose progress stands still for so long hangs. Law 9: time out on lack of progress, not on a guess of duration. */
const STALL_LIMIT_MS = 120_000;
/** db-replication is restarted by the runner within seconds; longer silence is a failure. */
const SILENCE_LIMIT_MS = 30_000;
/** A peer that has just been registered, or that is being promoted, may need a moment until it can be followed. */
const PEER_PATIENCE_MS = 30_000;
const AWAIT_STALL_MS = 10_000;

/** This server's PostgreSQL, by way of db-replication. */
export class DatabaseAdapter implements DatabasePort, ReplicationSource {
  private lastTaskId: string | null = null;

  constructor(
    private readonly bus: Bus,
    private readonly clock: Clock,
  ) {}

  async openActive(context: EffectContext): Promise<void> {
    await this.perform(context, { kind: 'start-active' });
  }

  async startStandby(context: EffectContext): Promise<void> {
    await this.perform(context, { kind: 'start-standby' });
  }

  async promote(context: EffectContext, requiredLsn: Lsn | null): Promise<void> {
    await this.perform(context, { kind: 'promote', requiredLsn });
  }

  async stop(context: EffectContext): Promise<{ lsn: Lsn | null; hasDatabase: boolean }> {
    const { lsn, hasDatabase = true } = await this.perform(context, { kind: 'stop' });
    return { lsn, hasDatabase };
  }

  async fence(context: EffectContext): Promise<void> {
    await this.perform(context, { kind: 'fence' });
  }

  async prepareSource(context: EffectContext): Promise<void> {
    await this.perform(context, { kind: 'prepare-source' });
  }

  async retireSource(context: EffectContext): Promise<void> {
    await this.perform(context, { kind: 'retire-source' });
  }

  async discardCopy(context: EffectContext): Promise<void> {
    await this.perform(context, { kind: 'discard-copy' });
  }

  async followPeer(
    context: EffectContext,
    { forceCopy, awaySeconds }: { forceCopy: boolean; awaySeconds: number | null },
  ): Promise<void> {
    const until = this.clock.nowMs() + PEER_PATIENCE_MS;
    for (let attempt = 0; ; attempt++) {
      try {
        await this.perform(
          { ...context, taskId: `${context.taskId}.${attempt}` },
          { kind: 'follow-peer', forceCopy, awaySeconds },
        );
        return;
      } catch (error) {
        const worthRepeating =
          error instanceof EffectError && (error.code === 'peer-unreachable' || error.code === 'not-paired');
        if (!worthRepeating || context.signal.aborted || this.clock.nowMs() > until) throw error;
        await delay(500, undefined, { signal: context.signal }).catch(() => undefined);
      }
    }
  }

  async awaitReceived(context: EffectContext, lsn: Lsn): Promise<void> {
    let received: Lsn | null = null;
    let grewAtMs = this.clock.nowMs();
    while (!context.signal.aborted) {
      const facts = await this.bus.request(DatabaseFactsQuery, {}, { timeoutMs: 2000 }).catch(() => null);
      if (facts?.lsn != null && facts.lsn !== received) {
        received = facts.lsn;
        grewAtMs = this.clock.nowMs();
      }
      if (received !== null && lsnDistance(lsn, received) >= 0) return;
      if (this.clock.nowMs() - grewAtMs > AWAIT_STALL_MS) {
        throw new EffectError(
          'data-missing',
          `the old active server ends at ${lsn}, this one has received up to ${received ?? 'an unknown position'} and nothing more comes`,
        );
      }
      await delay(10);
    }
    throw new EffectError('superseded', 'a later decision came');
  }

  /** Asks until the task has ended. Repeating is safe: db-replication knows tasks by their id. */
  private async perform(context: EffectContext, task: DatabaseTask): Promise<DatabaseTaskResult> {
    const { taskId, epoch, signal } = context;
    let replaces = this.lastTaskId === taskId ? null : this.lastTaskId;
    this.lastTaskId = taskId;
    let atWork = '';
    let grewAtMs = this.clock.nowMs();
    let heardAtMs = grewAtMs;
    while (!signal.aborted) {
      try {
        const asked = this.bus.request(
          PerformDatabaseTask,
          { taskId, epoch, task, holdMs: HOLD_MS, replaces },
          { timeoutMs: HOLD_MS + 4000 },
        );
        const answer = await unlessAborted(signal, asked);
        if (answer === null) break;
        heardAtMs = this.clock.nowMs();
        if (answer.state === 'succeeded') return answer.result;
        if (answer.state === 'failed') throw new EffectError(answer.code, answer.message);
        const isOther = answer.taskId !== taskId;
        // Nobody waits for another task any more: the decisions it came from are past.
        if (isOther) replaces = answer.taskId;
        context.progress(
          `${task.kind}: ${isOther ? `waiting for the end of an earlier task (${answer.step})` : answer.step}`,
          isOther ? null : answer.percent,
        );
        // Another task at work, or one that began anew in a restarted service, counts from the beginning.
        const now = `${answer.taskId} ${answer.progress}`;
        if (now !== atWork) {
          atWork = now;
          grewAtMs = heardAtMs;
        }
        if (answer.taskId === null) await delay(100);
      } catch (error) {
        if (!(error instanceof BusError)) throw error;
        if (
          !error.retryable &&
          error.code !== 'deadline-exceeded' &&
          error.code !== 'no-responder' &&
          error.code !== 'bus-disconnected'
        )
          throw new EffectError(error.code, error.message);
        await delay(100);
      }
      const nowMs = this.clock.nowMs();
      if (nowMs - heardAtMs > SILENCE_LIMIT_MS)
        throw new EffectError(
          'no-answer',
          `db-replication has not answered for ${Math.round((nowMs - heardAtMs) / 1000)} s (${task.kind})`,
        );
      if (nowMs - grewAtMs > STALL_LIMIT_MS)
        throw new EffectError(
          'stalled',
          `${task.kind} has made no progress for ${Math.round((nowMs - grewAtMs) / 1000)} s`,
        );
    }
    throw new EffectError('superseded', 'a later decision came');
  }
}

/** Null as soon as the signal comes: nobody waits for the answer any more. */
async function unlessAborted<T>(signal: AbortSignal, answer: Promise<T>): Promise<T | null> {
  const aborted = Promise.withResolvers<null>();
  const stop = () => aborted.resolve(null);
  answer.catch(() => undefined);
  signal.addEventListener('abort', stop, { once: true });
  try {
    return await Promise.race([answer, aborted.promise]);
  } finally {
    signal.removeEventListener('abort', stop);
  }
}
