import { readdirSync, readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';

const POLL_MS = 10;
const KILL_LIMIT_MS = 10_000;

/** Pids of the living processes of a session: what a leader started, unless it left the session on purpose. */
export function pidsOfSession(sessionId: number): number[] {
  return readdirSync('/proc').flatMap((entry) => {
    const pid = Number(entry);
    if (!Number.isInteger(pid)) return [];
    try {
      const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
      const [state, , , session] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
      return Number(session) === sessionId && state !== 'Z' && state !== 'X' ? [pid] : [];
    } catch {
      return [];
    }
  });
}

/** Ends a whole session: asks with SIGTERM, kills after the grace time, and resolves when nothing of it is alive. Rejects when something cannot be killed. */
export async function endSession(sessionId: number, graceMs: number): Promise<void> {
  signal(pidsOfSession(sessionId), 'SIGTERM');
  const killAtMs = performance.now() + graceMs;
  for (;;) {
    const alive = pidsOfSession(sessionId);
    if (alive.length === 0) return;
    const nowMs = performance.now();
    if (nowMs > killAtMs + KILL_LIMIT_MS) throw new Error(`processes ${alive.join(', ')} cannot be killed`);
    if (nowMs > killAtMs) signal(alive, 'SIGKILL');
    await delay(POLL_MS);
  }
}

function signal(pids: readonly number[], name: NodeJS.Signals): void {
  for (const pid of pids) {
    try {
      process.kill(pid, name);
    } catch {
      // gone meanwhile
    }
  }
}
