import { readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { formatProblem, isAlive, loadConfiguration, NodePaths } from '@understudy/platform';
import { NotStartable } from './not-startable.ts';
import { type RunnerLock, readRunnerLock } from './runner-lock.ts';

const STOP_LIMIT_MS = 330_000;

/** Stops the running node of a configuration: false when none runs. Rejects when it has not stopped in the longest time that an orderly stop may take. */
export async function stopNode({ configFile }: { configFile: string }): Promise<boolean> {
  const lock = nodeStatus({ configFile });
  if (lock === null) return false;
  process.kill(lock.pid, 'SIGTERM');
  for (const until = Date.now() + STOP_LIMIT_MS; Date.now() < until; await delay(100)) {
    if (!isAlive(lock.pid, lock.startTime)) return true;
  }
  throw new Error(`the node (pid ${lock.pid}) has not stopped within ${STOP_LIMIT_MS / 1000} s`);
}

/** The running node of a configuration with its children, null when none runs. Throws NotStartable for a bad configuration, and when this user may not know. */
export function nodeStatus({ configFile }: { configFile: string }): RunnerLock | null {
  const loaded = loadConfiguration(configFile, process.env);
  if (!loaded.ok) throw new NotStartable(loaded.problems.map(formatProblem));
  const paths = new NodePaths(loaded.configuration.node.dataDirectory);
  requireReadable(paths.runnerLock);
  return readRunnerLock(paths);
}

/** What another user's file says is not known: that is not "none runs". */
function requireReadable(file: string): void {
  try {
    readFileSync(file);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EACCES')
      throw new Error(`${file} cannot be read (EACCES); run this as the user of the server`);
  }
}
