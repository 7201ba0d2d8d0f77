import { readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { bootId, type Clock, isAlive, type NodePaths, parseServingNote, servingNoteFile } from '@understudy/platform';
import { applicationProcesses } from './application-processes.ts';
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
  const untilMs = Math.min(clock.nowMs() + ORDERLY_LIMIT_MS, rightOf(lock, paths) ?? Number.POSITIVE_INFINITY);
  while (clock.nowMs() < untilMs && living().some(({ name }) => ORDERLY.includes(name))) await delay(LOOK_MS);
  for (const { pid } of living()) kill(pid);
  for (const endMs = clock.nowMs() + KILL_LIMIT_MS; clock.nowMs() < endMs && living().length > 0; )
    await delay(LOOK_MS);
  for (const pid of applicationProcesses(paths.dataDirectory)) kill(pid);
}

/** Until when the server of that run may serve; null without a limit. */
function rightOf({ runId }: RunnerLock, paths: NodePaths): number | null {
  try {
    return parseServingNote(readFileSync(servingNoteFile(paths.run), 'utf8'), runId)?.untilMs ?? null;
  } catch {
    return null;
  }
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // gone meanwhile
  }
}
