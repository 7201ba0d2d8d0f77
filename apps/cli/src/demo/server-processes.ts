import { readdirSync, readFileSync } from 'node:fs';

interface Seen {
  readonly pid: number;
  readonly parent: number;
  readonly isOwn: boolean;
}

/** Processes of one server: those that name its data directory or configuration file, and all that descend from them. */
export function processesOf(marks: readonly string[], runnerPid: number | undefined): number[] {
  const seen = allProcesses(marks);
  const found = new Set(seen.filter(({ pid, isOwn }) => isOwn || pid === runnerPid).map(({ pid }) => pid));
  for (let before = -1; before !== found.size; ) {
    before = found.size;
    for (const { pid, parent } of seen) if (found.has(parent)) found.add(pid);
  }
  found.delete(process.pid);
  return [...found];
}

/** `kill -9` for all of them, until none is left or `limitMs` is over: what a power cut leaves. */
export async function killAll(find: () => number[], limitMs: number): Promise<void> {
  const deadline = performance.now() + limitMs;
  for (let pids = find(); pids.length > 0 && performance.now() < deadline; pids = find()) {
    for (const pid of pids) {
      try {
        process.kill(pid, 'SIGKILL');
      } catch {
        // Gone already.
      }
    }
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

function allProcesses(marks: readonly string[]): Seen[] {
  const result: Seen[] = [];
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    try {
      const stat = readFileSync(`/proc/${name}/stat`, 'utf8');
      // After the name in brackets, which may hold anything: state, parent.
      const [state, parent] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
      if (state === 'Z') continue;
      const commandLine = readFileSync(`/proc/${name}/cmdline`, 'utf8').split('\0');
      const isOwn = commandLine.some((word) => marks.some((mark) => word.includes(mark)));
      result.push({ pid: Number(name), parent: Number(parent), isOwn: isOwn && isServerProgram(commandLine) });
    } catch {
      // Ended while we looked.
    }
  }
  return result;
}

/** An editor or a `tail -f` that has one of the server's files open is not the server. */
function isServerProgram([program = '']: readonly string[]): boolean {
  return /(^|\/)(node|postgres|redis-server|nats-server)\b|^understudy/.test(program);
}
