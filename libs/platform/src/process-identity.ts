import { readFileSync } from 'node:fs';

/**
 * When a process started, in clock ticks since the machine's boot: with the pid it names the process for good. Null when there is
 * no such process or only its zombie. The value means nothing after a reboot: keep the boot id beside it.
 */
export function processStartTime(pid: number): number | null {
  const fields = statFields(pid);
  if (!fields) return null;
  const state = fields[0];
  if (state === 'Z' || state === 'X') return null;
  return Number(fields[19]);
}

/** Whether exactly that process is alive: same pid, same start time, no zombie. */
export function isAlive(pid: number, startTime: number): boolean {
  return processStartTime(pid) === startTime;
}

/** Identity of the machine's boot; with pid and start time it names a process even across reboots. */
export function bootId(): string {
  return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
}

/** Fields of /proc/PID/stat after the command's name (which may hold blanks and parentheses): state, ppid, ... */
function statFields(pid: number): string[] | null {
  if (!Number.isInteger(pid) || pid <= 0) return null;
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return text.slice(text.lastIndexOf(')') + 2).split(' ');
  } catch {
    return null;
  }
}
