import { readdirSync, readFileSync } from 'node:fs';

/**
 * The environment variable that marks all that a process of the application starts, even what leaves its session:
 * `<data directory>|<process>`. The health monitor sets it; whoever has to close the application finds it by it.
 */
export const APPLICATION_MARK = 'UNDERSTUDY_APPLICATION_PROCESS';

/** The pid of every process of this machine at this moment, zombies too. */
export function allPids(): number[] {
  return readdirSync('/proc').flatMap((entry) => (/^\d+$/.test(entry) ? [Number(entry)] : []));
}

/** The environment a process was started with, as `NAME=value`; empty when it is gone, or another user's. */
export function environmentOf(pid: number): string[] {
  try {
    return readFileSync(`/proc/${pid}/environ`, 'utf8').split('\0');
  } catch {
    return [];
  }
}

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

/** What a process's main thread does, as the letter of /proc: `R` runs or waits for a CPU, `D` waits for a disk, `S` sleeps, `T` is stopped, ...; null: gone. */
export function processState(pid: number): string | null {
  return statFields(pid)?.[0] ?? null;
}

/** The session that a process is in, named by the pid of its first process; null: gone. */
export function sessionOf(pid: number): number | null {
  const session = statFields(pid)?.[3];
  return session === undefined ? null : Number(session);
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
