import { linkSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { bootId, isAlive, type NodePaths, processStartTime, writeFileAtomically } from '@understudy/platform';
import { NotStartable } from './not-startable.ts';

/** What the running node says of itself in `run/node.json`. */
export interface RunnerLock {
  readonly pid: number;
  readonly startTime: number;
  readonly bootId: string;
  readonly runId: string;
  readonly children: readonly { readonly name: string; readonly pid: number; readonly startTime: number }[];
}

/** The lock of a running node, null when none runs on this data directory. */
export function readRunnerLock(paths: NodePaths): RunnerLock | null {
  const lock = readLock(paths);
  return lock !== null && isHeld(lock) ? lock : null;
}

/**
 * Takes this data directory for this process, and gives the lock of the run before when that one left children behind. Throws
 * NotStartable when another process runs the node.
 */
export function takeRunnerLock(paths: NodePaths, runId: string): RunnerLock | null {
  const mine = `${paths.runnerLock}.${process.pid}`;
  const own = lockOf(runId, []);
  writeFileSync(mine, JSON.stringify(own), { mode: 0o600 });
  try {
    let previous: RunnerLock | null = null;
    for (let attempt = 0; attempt < 5; attempt++) {
      try {
        linkSync(mine, paths.runnerLock);
        return previous;
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
      }
      requireNotRunning(paths);
      previous = readLock(paths) ?? previous;
      // they are in the new lock until they have ended: this process may be killed before that
      const { children = [], bootId: lastBootId } = previous ?? {};
      if (lastBootId === own.bootId) writeFileSync(mine, JSON.stringify({ ...own, children }), { mode: 0o600 });
      renameSync(paths.runnerLock, `${mine}.stale`);
    }
    throw new NotStartable([`${paths.runnerLock}: other processes keep taking it; start this server once`]);
  } finally {
    rmSync(mine, { force: true });
    rmSync(`${mine}.stale`, { force: true });
  }
}

/** Throws NotStartable unless this process still has the lock: of two that found the same stale lock, the later one has it. */
export function requireOwnLock(paths: NodePaths): void {
  if (readLock(paths)?.pid !== process.pid) requireNotRunning(paths);
}

/** Says that this process runs the node, and which children it has. */
export async function writeRunnerLock(
  paths: NodePaths,
  runId: string,
  children: readonly { name: string; pid: number | null }[],
): Promise<void> {
  await writeFileAtomically(paths.runnerLock, JSON.stringify(lockOf(runId, children)), { mode: 0o600 });
}

/** Gives the data directory back, if it is still this process that has it. */
export function releaseRunnerLock(paths: NodePaths): void {
  if (readLock(paths)?.pid === process.pid) rmSync(paths.runnerLock, { force: true });
}

function requireNotRunning(paths: NodePaths): void {
  const running = readRunnerLock(paths);
  if (running === null || running.pid === process.pid) return;
  throw new NotStartable([
    `${paths.dataDirectory}: this server runs already (pid ${running.pid}); stop it with "understudy node stop"`,
  ]);
}

function isHeld(lock: RunnerLock): boolean {
  return lock.bootId === bootId() && isAlive(lock.pid, lock.startTime);
}

function lockOf(runId: string, children: readonly { name: string; pid: number | null }[]): RunnerLock {
  const known = children.flatMap(({ name, pid }) => {
    const startTime = pid === null ? null : processStartTime(pid);
    return pid === null || startTime === null ? [] : [{ name, pid, startTime }];
  });
  const { pid } = process;
  return { pid, startTime: processStartTime(pid) ?? 0, bootId: bootId(), runId, children: known };
}

function readLock(paths: NodePaths): RunnerLock | null {
  try {
    return JSON.parse(readFileSync(paths.runnerLock, 'utf8')) as RunnerLock;
  } catch {
    return null;
  }
}
