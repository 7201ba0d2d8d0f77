import { setTimeout as delay } from 'node:timers/promises';
import { type LivingProcess, livingProcess } from './process-table.ts';

const POLL_MS = 10;
const LOOK_AGAIN_MS = 100;
const KILL_LIMIT_MS = 10_000;

/** Something of the application could not be killed; the message names the pids. */
export class UnkillableError extends Error {
  constructor(pids: readonly number[], limitMs: number) {
    super(`process ${pids.join(', ')} is still alive ${limitMs} ms after SIGKILL`);
    this.name = 'UnkillableError';
  }
}

/**
 * Ends all that belongs together: asks with SIGTERM, kills after the grace time, and resolves when nothing is alive, including what
 * was started meanwhile. Throws `UnkillableError` when something survives SIGKILL by 10 s.
 *
 * @param find who belongs to it, as of now
 */
export async function endAll(find: () => LivingProcess[], graceMs: number): Promise<void> {
  const begunMs = performance.now();
  const asked = new Set<string>();
  for (;;) {
    const alive = find();
    if (alive.length === 0) return;
    const passedMs = performance.now() - begunMs;
    if (passedMs > graceMs + KILL_LIMIT_MS) {
      throw new UnkillableError(
        alive.map(({ pid }) => pid),
        KILL_LIMIT_MS,
      );
    }
    if (passedMs >= graceMs) signal(alive, 'SIGKILL');
    else
      signal(
        alive.filter((member) => !asked.has(keyOf(member))),
        'SIGTERM',
      );
    for (const member of alive) asked.add(keyOf(member));
    await untilGone(alive, passedMs < graceMs ? Math.min(LOOK_AGAIN_MS, graceMs - passedMs) : LOOK_AGAIN_MS);
  }
}

/** Looks only at those who are known: the whole process table is searched seldom. */
async function untilGone(known: readonly LivingProcess[], limitMs: number): Promise<void> {
  const endMs = performance.now() + limitMs;
  while (performance.now() < endMs && known.some(isAlive)) await delay(POLL_MS);
}

function signal(members: readonly LivingProcess[], name: NodeJS.Signals): void {
  for (const member of members) {
    if (!isAlive(member)) continue; // its pid may be a stranger's by now
    try {
      process.kill(member.pid, name);
    } catch {
      // gone meanwhile
    }
  }
}

const isAlive = ({ pid, startTime }: LivingProcess) => livingProcess(pid)?.startTime === startTime;
const keyOf = ({ pid, startTime }: LivingProcess) => `${pid} ${startTime}`;
