import { readdirSync, readFileSync, readlinkSync } from 'node:fs';

interface Seen {
  readonly pid: number;
  readonly parent: number;
  readonly isOwn: boolean;
}

/** What tells a server's processes from all others. */
export interface ServerMarks {
  readonly configurationFile: string;
  readonly dataDirectory: string;
}

/** Processes of one server: those that name its files or work in its data directory, and all that descend from them. */
export function processesOf(marks: ServerMarks, runnerPid: number | undefined): number[] {
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

function allProcesses(marks: ServerMarks): Seen[] {
  const result: Seen[] = [];
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    try {
      const stat = readFileSync(`/proc/${name}/stat`, 'utf8');
      // After the name in brackets, which may hold anything: state, parent.
      const [state, parent] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
      if (state === 'Z') continue;
      result.push({ pid: Number(name), parent: Number(parent), isOwn: bearsMark(`/proc/${name}`, marks) });
    } catch {
      // Ended while we looked.
    }
  }
  return result;
}

/** By command line, environment or working directory: some programs rewrite their command line. */
function bearsMark(process: string, { configurationFile, dataDirectory }: ServerMarks): boolean {
  const words = readFileSync(`${process}/cmdline`, 'utf8').split('\0');
  if (!isServerProgram(words[0] ?? '')) return false;
  // the command line that an operator watches the server with is not the server
  if (words.includes('--config') && !words.includes('run')) return false;
  if (words.some((word) => word === configurationFile || word.includes(`${dataDirectory}/`))) return true;
  try {
    if (`${readlinkSync(`${process}/cwd`)}/`.startsWith(`${dataDirectory}/`)) return true;
    const environment = readFileSync(`${process}/environ`, 'utf8').split('\0');
    return environment.some((line) => line.startsWith(`UNDERSTUDY_CONFIG_FILE=${dataDirectory}/`));
  } catch {
    return false;
  }
}

/** An editor or a `tail -f` that has one of the server's files open is not the server. */
function isServerProgram(program: string): boolean {
  return /(^|\/)(node|postgres|redis-server|nats-server)\b|^understudy/.test(program);
}
