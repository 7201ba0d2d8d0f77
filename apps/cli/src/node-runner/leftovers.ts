import { setTimeout as delay } from 'node:timers/promises';
import { bootId, type Clock, isAlive, type NodePaths, readServingNote, servingNoteFile } from '@understudy/platform';
import { applicationProcesses } from './application-processes.ts';
import { killAll } from './kill-all.ts';
import type { RunnerLock } from './runner-lock.ts';

/** These stop the application and PostgreSQL in order when their runner is gone, and are given the time for it. */
const ORDERLY = ['health-monitor', 'db-replication', 'composed'];
const ORDERLY_LIMIT_MS = 30_000;
const KILL_LIMIT_MS = 5000;
const LOOK_MS = 20;

/**
 * Ends what a killed runner left behind, in order as long as that server may serve: services, bus, store, and last whatever of the
 * application is still there. PostgreSQL is not among it: db-replication finds it again.
 */
export async function endLeftovers(lock: RunnerLock | null, paths: NodePaths, clock: Clock): Promise<void> {
  if (lock === null || lock.bootId !== bootId()) return;
  const living = () => lock.children.filter(({ pid, startTime }) => isAlive(pid, startTime));
  const rightEndsMs = readServingNote(servingNoteFile(paths.run), lock.runId)?.untilMs ?? Number.POSITIVE_INFINITY;
  const untilMs = Math.min(clock.nowMs() + ORDERLY_LIMIT_MS, rightEndsMs);
  while (clock.nowMs() < untilMs && living().some(({ name }) => ORDERLY.includes(name))) await delay(LOOK_MS);
  killAll(living().map(({ pid }) => pid));
  for (const endMs = clock.nowMs() + KILL_LIMIT_MS; clock.nowMs() < endMs && living().length > 0; )
    await delay(LOOK_MS);
  killAll(applicationProcesses(paths.dataDirectory));
}
