import { readFileSync, readlinkSync, realpathSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { isAlive, processStartTime } from '@understudy/platform';

/** Time for a fast shutdown, then for an immediate one. */
const FAST_MS = 30_000;
const IMMEDIATE_MS = 10_000;

/** The process id of the PostgreSQL that runs on a data directory; null when none does. Told by its working directory, not by its word. */
export function ownPostmaster(dataDirectory: string): number | null {
  try {
    const pid = Number(readFileSync(join(dataDirectory, 'postmaster.pid'), 'utf8').split('\n')[0]);
    const isOurs = processStartTime(pid) !== null && readlinkSync(`/proc/${pid}/cwd`) === realpathSync(dataDirectory);
    return isOurs ? pid : null;
  } catch {
    return null;
  }
}

/**
 * Stops the PostgreSQL of a data directory when its manager did not: fast, then immediate. True when one had to be stopped. This is
 * the net below db-replication, for a server that goes down while db-replication is dead.
 */
export async function stopAbandonedPostmaster(dataDirectory: string): Promise<boolean> {
  const pid = ownPostmaster(dataDirectory);
  const startTime = pid === null ? null : processStartTime(pid);
  if (pid === null || startTime === null) return false;
  for (const [signal, limitMs] of [
    ['SIGINT', FAST_MS],
    ['SIGQUIT', IMMEDIATE_MS],
  ] as const) {
    process.kill(pid, signal);
    for (const until = Date.now() + limitMs; Date.now() < until; await delay(50)) {
      if (!isAlive(pid, startTime)) return true;
    }
  }
  return true;
}
