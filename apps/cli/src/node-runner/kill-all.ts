/** Kills processes at once; one that is gone already is killed. */
export function killAll(pids: readonly number[]): void {
  signalAll(pids, 'SIGKILL');
}

/** Sends a signal to processes; one that is gone needs none. */
export function signalAll(pids: readonly number[], signal: NodeJS.Signals): void {
  for (const pid of pids) {
    try {
      process.kill(pid, signal);
    } catch {
      // gone meanwhile
    }
  }
}
