import { readFileSync } from 'node:fs';
import { APPLICATION_MARK, allPids, bootId, environmentOf } from '@understudy/platform';

/** Exactly one process: a pid alone is given again, to another. */
export interface ProcessIdentity {
  readonly pid: number;
  /** Clock ticks since the machine's boot. */
  readonly startTime: number;
  readonly bootId: string;
}

/** A living process. */
export interface LivingProcess {
  readonly pid: number;
  readonly startTime: number;
  readonly sessionId: number;
  /** It is one of the kernel's own threads: no program, no environment. */
  readonly isKernelThread: boolean;
}

/** PF_KTHREAD of the kernel. */
const KERNEL_THREAD = 0x00200000;

/** The process with that pid; null when there is none, or only its zombie. */
export function livingProcess(pid: number): LivingProcess | null {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    const [state, , , sessionId, , , flags, ...rest] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    if (state === 'Z' || state === 'X') return null;
    const isKernelThread = (Number(flags) & KERNEL_THREAD) !== 0;
    return { pid, startTime: Number(rest[12]), sessionId: Number(sessionId), isKernelThread };
  } catch {
    return null;
  }
}

/** The identity of a living process; null when it has ended. */
export function identify(pid: number): ProcessIdentity | null {
  const found = livingProcess(pid);
  return found && { pid, startTime: found.startTime, bootId: bootId() };
}

/** Whether exactly that process is alive. */
export function isSameAlive({ pid, startTime, bootId: boot }: ProcessIdentity): boolean {
  return livingProcess(pid)?.startTime === startTime && boot === bootId();
}

/**
 * All that belongs to a process of the application: what carries its mark, and its session.
 *
 * @param leader who was started; null: only the mark is known
 * @param sawLeaderEnd the leader ended before our eyes: what is left of its session is still its own. Otherwise the session of a dead
 * leader proves nothing, because its id may have been given to a stranger meanwhile.
 */
export function membersOf(mark: string, leader: ProcessIdentity | null, sawLeaderEnd: boolean): LivingProcess[] {
  const present = leader ? livingProcess(leader.pid) : null;
  const ownSession =
    leader !== null && leader.bootId === bootId() && (present ? present.startTime === leader.startTime : sawLeaderEnd);
  return allPids().flatMap((pid) => {
    const found = pid === process.pid ? null : livingProcess(pid);
    if (!found) return [];
    const belongs = (ownSession && found.sessionId === leader.pid) || (!found.isKernelThread && carries(pid, mark));
    return belongs ? [found] : [];
  });
}

/** What follows `prefix` in the marks of all living processes. */
export function marksPresent(prefix: string): Set<string> {
  const marks = allPids().flatMap((pid) =>
    environmentOf(pid).filter((entry) => entry.startsWith(`${APPLICATION_MARK}=${prefix}`)),
  );
  return new Set(marks.map((entry) => entry.slice(APPLICATION_MARK.length + 1 + prefix.length)));
}

function carries(pid: number, mark: string): boolean {
  return environmentOf(pid).includes(`${APPLICATION_MARK}=${mark}`);
}
