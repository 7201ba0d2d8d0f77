import { setTimeout as delay } from 'node:timers/promises';
import { type DatabaseTaskResult, formatLsn, parseLsn } from '@understudy/contracts';
import { KeptSession, type Row, withLocal } from '../adapters/sql.ts';
import { messageOf, TaskFailure } from '../domain/task-failure.ts';
import type { TaskContext } from '../ports/task-context.ts';
import type { FactsObserver } from './facts-observer.ts';
import type { Postmaster } from './postmaster.ts';
import type { RightToServe } from './right-to-serve.ts';

const ASK_MS = 5000;
/** What is needed was proven to be on its way before; this is for the last of it. */
const RECEIVE_WINDOW_MS = 10_000;
/** Within that time at least this part (one of so many) of what is missing has to come. */
const LEAST_PART = 100n;
const PROMOTE_STALL_MS = 60_000;

const PRIOR_TIMELINE = `select greatest((select timeline_id from pg_control_checkpoint()),
  (select min_recovery_end_timeline from pg_control_recovery()), (select received_tli from pg_stat_wal_receiver)) as timeline`;
const NOW = `select ('x' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8))::bit(32)::int as timeline,
  pg_current_wal_lsn()::text as lsn`;

/** Makes a running standby the active server. */
export class Promotion {
  constructor(
    private readonly postmaster: Postmaster,
    private readonly observer: FactsObserver,
    private readonly right: RightToServe,
  ) {}

  /**
   * Returns the new timeline and where it began. One that is active already is success: an earlier attempt got that far. Throws
   * `data-missing` before anything has changed, or `promotion-failed`. Cancelled on its way, PostgreSQL is stopped.
   */
  async run(requiredLsn: string | null, context: TaskContext): Promise<Partial<DatabaseTaskResult>> {
    const session = new KeptSession(this.postmaster.local);
    try {
      const [state] = await session.query('select pg_is_in_recovery() as standby', ASK_MS);
      if (state?.standby === false) return found(await this.now(session));
      if (requiredLsn !== null) await this.received(parseLsn(requiredLsn), context);
      const [before] = await session.query(PRIOR_TIMELINE, ASK_MS);
      context.step('promoting');
      // A paused replay would hold the promotion up for ever.
      await session.query('select case when pg_is_wal_replay_paused() then pg_wal_replay_resume() end', ASK_MS);
      await this.right.wait(context);
      await session.query('select pg_promote(false)', ASK_MS);
      await this.promoted(session, context).catch(async (error: unknown) => {
        // It cannot be taken back, and must not go on behind the back of what comes next.
        if (context.signal.aborted) await this.postmaster.shutDown(context);
        throw error;
      });
      const after = await this.now(session);
      if (Number(after?.timeline) <= Number(before?.timeline)) {
        throw new TaskFailure('promotion-failed', `the timeline is still ${String(after?.timeline)}`);
      }
      return found(after);
    } catch (error) {
      if (error instanceof TaskFailure || context.signal.aborted) throw error;
      throw new TaskFailure('promotion-failed', messageOf(error));
    } finally {
      session.close();
    }
  }

  /** What was received is replayed first: as long as that goes on there is no limit. */
  private async promoted(session: KeptSession, context: TaskContext): Promise<void> {
    let replayed: unknown = null;
    for (let movedAtMs = performance.now(); ; await delay(5)) {
      context.signal.throwIfAborted();
      const [row] = await session
        .query('select pg_is_in_recovery() as standby, pg_last_wal_replay_lsn()::text as replayed', ASK_MS)
        .catch(() => []);
      if (row?.standby === false) return;
      if (this.postmaster.running === null) {
        throw new TaskFailure('promotion-failed', 'PostgreSQL has ended during the promotion');
      }
      if (row && row.replayed !== replayed) {
        replayed = row.replayed;
        movedAtMs = performance.now();
        context.advance(1);
      }
      if (performance.now() - movedAtMs > PROMOTE_STALL_MS) {
        throw new TaskFailure('promotion-failed', `still in recovery, and no further than ${String(replayed)}`);
      }
    }
  }

  private async now(session: KeptSession): Promise<Row | undefined> {
    const [row] = await session.query(NOW, ASK_MS);
    return row;
  }

  private async received(required: bigint, context: TaskContext): Promise<void> {
    context.step(`waiting for ${formatLsn(required)}`);
    let received = -1n;
    let missing: bigint | null = null;
    for (let windowAtMs = performance.now(); ; await delay(5)) {
      context.signal.throwIfAborted();
      const now = await this.observer.received();
      if (now !== null && now >= required) return;
      if (now !== null && now > received) {
        received = now;
        missing ??= required - received;
        context.advance(1);
      }
      if (performance.now() - windowAtMs < RECEIVE_WINDOW_MS) continue;
      const left = required - received;
      // Something always comes while the peer lives; it must get nearer, too.
      if (missing === null || left > missing - missing / LEAST_PART) {
        const end = received < 0n ? 'an unknown position' : formatLsn(received);
        throw new TaskFailure('data-missing', `needed up to ${formatLsn(required)}, received up to ${end}`);
      }
      missing = left;
      windowAtMs = performance.now();
    }
  }
}

function found(row: Row | undefined): Partial<DatabaseTaskResult> {
  return { timeline: Number(row?.timeline), lsn: String(row?.lsn) };
}

/** Asks for a checkpoint; gives it up after `limitMs`. Never throws: without it what follows is only slower. */
export async function checkpoint(postmaster: Postmaster, limitMs: number): Promise<void> {
  await withLocal(postmaster.local, limitMs, (session) => session.query('CHECKPOINT')).catch(() => undefined);
}
